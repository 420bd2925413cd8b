-- Alerts kept quiet: who asked for it and until when, and how the telling of each alert stands.
-- Stays on one node (with Citus: the coordinator).

create table silence (                    -- append-only: an end before its time is a row of its own
    silence uuid primary key default gen_random_uuid(),
    kind text not null check (kind in ('shelved', 'planned_outage', 'start_up', 'force_majeure')),
    site text,                            -- null: the shelved alert belongs to the store itself
    unit text,                            -- of an outage: with all below it; null: the whole site
    alert uuid references alert,          -- what is shelved
    from_at timestamptz not null,
    until_at timestamptz not null,        -- half-open
    reason text not null,
    document text,                        -- file number of an outage
    created_at timestamptz not null,
    created_by text not null,
    created_role text not null,
    check ((kind = 'shelved') = (alert is not null)),
    check (kind = 'shelved' or (site is not null and document is not null)),
    check (kind <> 'shelved' or unit is null),
    check (until_at > from_at),
    check (until_at - from_at <= case kind when 'shelved' then interval '7 days'
        else interval '92 days' end)
);
create index silence_until on silence (until_at);
create index silence_site on silence (site, created_at desc, silence desc);
create index silence_alert on silence (alert) where alert is not null;

create table silence_end (                -- append-only: ended before its time, once
    silence uuid primary key references silence,
    ended_at timestamptz not null,
    ended_by text not null
);

create table fold (                       -- what receivers know of an alert, what is kept from them
    alert uuid primary key references alert,
    known text not null check (known in ('unknown', 'owed', 'told', 'stale', 'ending', 'over')),
    since timestamptz not null,           -- when it entered `known`
    owed text,                            -- the gravest word kept back
    cover text check (cover in ('waiting', 'behind', 'shelved', 'planned_outage', 'start_up',
        'force_majeure')),
    cover_until timestamptz,              -- null: until the alert it stands behind is over
    cover_alert uuid references alert,
    cover_silence uuid references silence,
    over_at timestamptz,                  -- when receivers were last told that it is over
    hovers bool not null,
    check ((known in ('owed', 'stale')) = (owed is not null)),
    check ((known in ('owed', 'stale')) = (cover is not null))
);
create index fold_waiting on fold (alert) where known in ('owed', 'stale', 'ending');
create index fold_behind on fold (cover_alert) where cover_alert is not null;

create table fold_step (                  -- append-only: each notice with what became of it, and why
    step bigint generated always as identity primary key,
    alert uuid not null references alert,
    at timestamptz not null,
    event text not null,
    from_known text not null,
    to_known text not null,
    told text,                            -- null: nothing was told
    cover text,                           -- what kept it back
    cover_alert uuid,
    cover_silence uuid
);
create index fold_step_alert on fold_step (alert, step);

create table point_sender (               -- which agents have sent readings of which points
    point_id int not null,
    agent text not null,                  -- of the point's site
    first_at timestamptz not null,
    last_at timestamptz not null,         -- noted once a day
    primary key (point_id, agent)
);

create trigger append_only before update or delete or truncate on silence
    for each statement execute function refuse_rewriting();
create trigger append_only before update or delete or truncate on silence_end
    for each statement execute function refuse_rewriting();
create trigger append_only before update or delete or truncate on fold_step
    for each statement execute function refuse_rewriting();

insert into fold (alert, known, since, over_at, hovers) -- what was told before folds were kept
    select alert, case when state in ('firing', 'clearing') then 'told' else 'over' end,
        coalesce(case when state in ('firing', 'clearing') then raised_at end, resolved_at, raised_at),
        case when state not in ('firing', 'clearing') then resolved_at end, false
    from alert where raised_at is not null;
