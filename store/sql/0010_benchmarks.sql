-- What benchmarks found of plants, as the regulator recorded it, and the retrofits that answer it.

create table benchmark (                  -- append-only: the highest version of a question counts
    benchmark uuid primary key default gen_random_uuid(),
    indicator text not null,
    jurisdiction text not null,
    period text not null,                 -- as people write it: 2026-10, 2026-Q3, 2026
    period_end timestamptz not null,
    version int not null check (version > 0),
    body jsonb not null,                  -- the whole ranking as it was, with the ids of its results
    recorded_at timestamptz not null,
    recorded_by text not null,
    unique (indicator, jurisdiction, period, version)
);

create table benchmark_finding (          -- append-only: where each plant stood
    benchmark uuid not null references benchmark,
    site text not null,
    position text not null check (position in (
        'leader', 'middle', 'laggard', 'not_comparable', 'non_participant')),
    primary key (benchmark, site)
);
create index benchmark_finding_site on benchmark_finding (site);

create table retrofit (                   -- append-only: what was completed and accepted
    retrofit uuid primary key default gen_random_uuid(),
    site text not null,
    indicators text[] not null check (cardinality(indicators) > 0),
    completed_at timestamptz not null,
    what text not null,
    document text not null,               -- of the acceptance: number, name
    recorded_at timestamptz not null,
    recorded_by text not null
);
create index retrofit_site on retrofit (site);

alter table store_identity               -- what concealed quartiles are drawn with; never backed up
    add column secret bytea not null default sha256(decode(
        replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

create trigger append_only before update or delete or truncate on benchmark
    for each statement execute function refuse_rewriting();
create trigger append_only before update or delete or truncate on benchmark_finding
    for each statement execute function refuse_rewriting();
create trigger append_only before update or delete or truncate on retrofit
    for each statement execute function refuse_rewriting();
