-- The ledger: facts are append-only with both times, figures are recomputed and versioned.
-- Every *_e6 column is an exact integer in millionths of the unit that its name or point states.

create table store_identity (
    store uuid not null default gen_random_uuid(),
    created_at timestamptz not null default now(),
    only_row bool primary key default true check (only_row)
);
insert into store_identity default values;

create table site (
    site text primary key,
    declaration jsonb not null,           -- core.plant's JSON of the site: units, points, agents
    version int not null,
    applied_at timestamptz not null
);

create table site_version (               -- nothing is rewritten: what was declared, and when
    site text not null,
    version int not null,
    declaration jsonb not null,
    applied_at timestamptz not null,
    primary key (site, version)
);

create table point (
    point_id int generated always as identity primary key,
    point text not null unique
);

create table reading (                    -- column order: 13 % less heap
    ts timestamptz not null,              -- measured at
    recorded_at timestamptz not null,     -- the commit's, shared by a whole batch
    value float8 not null,                -- counts exact to 2^53; NaN only where quality is bad
    point_id int not null,
    quality int2 not null,                -- 0 good, 1 uncertain, 2 bad
    primary key (point_id, ts)
);

create table touched (                    -- spans whose slots must be computed; same commit as readings
    touched_id bigint generated always as identity primary key,
    point_id int not null,
    from_ts timestamptz not null,
    until_ts timestamptz not null         -- half-open
);

create table slot_energy (
    point_id int not null,
    slot_start timestamptz not null,
    energy_e6 bigint,                     -- null: nothing is known of this slot
    estimated_e6 bigint not null,         -- part of energy_e6 booked across a gap
    measured_us bigint not null,
    flags int not null,                   -- core.flags.Flag bits
    computed_at timestamptz not null,
    primary key (point_id, slot_start)
);

create table confirmed_step (             -- held steps that a person confirmed
    point_id int not null,
    ts timestamptz not null,
    confirmed_by text not null,
    confirmed_at timestamptz not null,
    primary key (point_id, ts)
);

create table point_latest (               -- what the live page shows; rebuilt from reading at any time
    point_id int primary key,
    ts timestamptz not null,
    value float8 not null,
    quality int2 not null,
    rate_kw float8                        -- of energy points: power over the last step; null unknown
);

create table agent_epoch (                -- how far each outbox has been made durable
    site text not null,
    agent text not null,
    epoch text not null,
    committed bigint not null,            -- every sequence up to here is durable but for `missing`
    missing int8multirange not null default '{}',
    lost int8multirange not null default '{}', -- below the outbox's `oldest`: no longer waited for
    oldest bigint not null default 1,
    first_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (site, agent, epoch)
);

create table agent_status (
    site text not null,
    agent text not null,
    state text not null,
    at timestamptz not null,
    epoch text not null,
    depth bigint,
    oldest_at timestamptz,
    clock_offset_ms double precision,
    seen_at timestamptz not null,
    primary key (site, agent)
);

create table agent_lease (                -- one worker per agent at a time
    site text not null,
    agent text not null,
    worker uuid not null,
    expires_at timestamptz not null,
    primary key (site, agent)
);

create table dead_letter (
    dead_letter_id bigint generated always as identity primary key,
    recorded_at timestamptz not null,
    reason text not null check (reason in (
        'conflict', 'unknown_point', 'unknown_agent', 'wrong_site', 'future', 'too_old',
        'not_a_number', 'count_too_large', 'too_large', 'unreadable', 'bad_signature',
        'unknown_unit', 'overlap', 'archived')),
    topic text not null,
    site text not null,
    agent text not null,
    point text,
    measured_at timestamptz,
    detail text not null,                 -- one sentence for a person
    payload bytea not null,               -- the reading as JSON, or the start of the message
    payload_bytes bigint not null,        -- of the whole message
    digest bytea not null unique          -- the same letter sent again stays one letter
);
create index dead_letter_recorded on dead_letter (recorded_at desc);

create table output_fact (
    site text not null,
    id text not null,
    revision int not null,
    unit text not null,
    kind text not null check (kind in ('tapping', 'weighing', 'stock', 'correction')),
    at timestamptz not null,
    mass_e6 bigint not null,              -- millionths of a tonne
    grades jsonb not null default '{}',   -- mass fractions as decimal strings
    source text not null,                 -- who sent it: agent, or user:<name>
    recorded_at timestamptz not null,
    primary key (site, id, revision)
);
create index output_fact_unit_at on output_fact (unit, at);

create table touched_unit (               -- spans of a unit whose results must be computed
    touched_id bigint generated always as identity primary key,
    unit text not null,
    from_ts timestamptz not null,
    until_ts timestamptz not null
);

create table result (                     -- one computed figure with its verdicts, versioned once closed
    result uuid primary key default gen_random_uuid(),
    unit text not null,
    indicator text not null,
    period text not null,
    period_start timestamptz not null,
    period_end timestamptz not null,
    closed bool not null,
    version int not null,                 -- 0 while open, then 1, 2, ...
    figures jsonb not null,               -- the period item of the API without identity and version
    computed_at timestamptz not null,
    change bigint generated always as identity, -- grows with every write: what the live stream asks for
    unique (unit, indicator, period, period_start, version)
);
create index result_change on result (change);
create index result_period on result (unit, indicator, period, period_start desc, version desc);

create table access_token (
    token_id uuid primary key default gen_random_uuid(),
    sha256 bytea not null unique,         -- of the token; the token itself is nowhere
    name text not null,
    role text not null check (role in ('operator', 'engineer', 'regulator', 'admin')),
    scope text[] not null,                -- 'site:<id>', 'jurisdiction:<code>', or '*'
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz
);

create table session (
    sha256 bytea primary key,
    token_id uuid not null references access_token on delete cascade,
    csrf_sha256 bytea not null,
    created_at timestamptz not null,
    expires_at timestamptz not null
);

create table audit (                      -- every write by a person
    audit_id bigint generated always as identity primary key,
    at timestamptz not null,
    who text not null,
    role text not null,
    action text not null,
    subject text not null,
    detail jsonb not null default '{}'
);
