-- What checks of meters found, run by run: a run is never changed, a later one says what is now.

create table meter_check (                -- append-only
    meter_check uuid primary key default gen_random_uuid(),
    site text not null,
    from_ts timestamptz not null,         -- the window that was looked at, half-open
    until_ts timestamptz not null,
    checked_at timestamptz not null,
    findings int not null,
    report jsonb not null                 -- core.meterchecks.findings.Report as JSON
);
create index meter_check_site on meter_check (site, checked_at desc);

create trigger append_only before update or delete or truncate on meter_check
    for each statement execute function refuse_rewriting();
