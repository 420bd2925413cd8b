-- Readings by spans of time, on one of three engines. Here: what all of them share; the layout of
-- `reading` itself is in the file of the same name for the database's engine.

create table store_engine (               -- chosen at migration, never changed
    engine text not null check (engine in ('plain', 'timescale', 'citus')),
    span_days int not null check (span_days > 0), -- width of a partition or chunk
    chosen_at timestamptz not null default now(),
    only_row bool primary key default true check (only_row)
);

create table retention (                  -- how far back raw readings are kept
    horizon timestamptz,                  -- readings before it are archived; null: kept for ever
    moved_at timestamptz,
    dropped_until timestamptz,            -- end of the newest span dropped: the horizon's least
    only_row bool primary key default true check (only_row)
);
insert into retention default values;

create table archived_span (              -- spans of readings that an archive holds whole
    from_ts timestamptz primary key,
    until_ts timestamptz not null,
    row_count bigint not null,            -- what the archive holds; a span with more is not dropped
    archive text not null,                -- where it is
    archived_at timestamptz not null,
    restored_at timestamptz               -- back in the ledger, and open for late readings
);

create table policy_run (                 -- what our own scheduler did last
    policy text primary key,
    started_at timestamptz not null,
    finished_at timestamptz,              -- null: it runs, or was killed
    error text,                           -- of the last run; null: it went well
    did text not null default '',         -- one sentence
    runs bigint not null default 0,
    failures bigint not null default 0    -- in a row
);
