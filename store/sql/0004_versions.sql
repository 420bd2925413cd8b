-- Why a closed figure changed and since when it was known, and what a month was closed with.

create table catalogue_version (          -- the catalogues that figures were computed with
    catalogue text primary key,           -- sha256 over names and texts, hexadecimal
    files jsonb not null,                 -- text by file name: a digest alone proves nothing
    seen_at timestamptz not null
);

-- What a version rests on; null in versions that are older than these columns. The four figures
-- are there for lists over many units, which must not unpack whole documents.
alter table result
    add column declaration int,           -- version of the site's declaration
    add column catalogue text,            -- of catalogue_version
    add column cause jsonb,               -- why there is this version; null while open
    add column energy numeric generated always as ((figures #>> '{energy,value}')::numeric) stored,
    add column output numeric generated always as ((figures #>> '{output,value}')::numeric) stored,
    add column intensity numeric
        generated always as ((figures #>> '{intensity,value}')::numeric) stored,
    add column completeness float8
        generated always as ((figures ->> 'completeness')::float8) stored;

drop index result_period;
create index result_newest on result (unit, indicator, period, period_start, version desc)
    include (closed, energy, output, intensity, completeness);
create index result_open on result (unit, period_end) where not closed;

-- Few facts are ever corrected: whether a newer revision exists is asked of this small index.
create index output_fact_revised on output_fact (site, id, revision) where revision > 0;

create trigger append_only before update or delete on result
    for each row when (old.closed) execute function refuse_rewriting();

create table month_close (                -- append-only: one snapshot a site and month
    month_close uuid primary key,
    site text not null,
    number int not null,                  -- place in the site's chain, from 1
    month_start timestamptz not null,
    month_end timestamptz not null,
    known_at timestamptz not null,        -- what was recorded until then counts
    closed_at timestamptz not null,
    closed_by text not null,
    body text not null,                   -- canonical JSON: these bytes are hashed and signed
    sha256 bytea not null,
    previous bytea,                       -- sha256 of the site's close before; null at the first
    key text,                             -- the signer's public key, ed25519:<base64>
    signature bytea,
    unique (site, month_start),
    unique (site, number),
    check ((key is null) = (signature is null)),
    check ((previous is null) = (number = 1))
);

create table closed_figure (              -- append-only: the versions that a snapshot speaks of
    unit text not null,
    indicator text not null,
    period text not null,
    period_start timestamptz not null,
    month_close uuid not null references month_close,
    result uuid not null,
    version int not null,
    primary key (unit, indicator, period, period_start)
);

create trigger append_only before update or delete or truncate on month_close
    for each statement execute function refuse_rewriting();
create trigger append_only before update or delete or truncate on closed_figure
    for each statement execute function refuse_rewriting();
create trigger append_only before update or delete or truncate on catalogue_version
    for each statement execute function refuse_rewriting();
