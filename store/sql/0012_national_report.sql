-- What is told to the national system of key energy users: figures by revision, how each stands with
-- each platform, how far the sender has come with it. Stays on one node (with Citus: the coordinator).

create table report_figure (              -- never changed: what changes is a new revision
    figure bigint generated always as identity primary key,
    site text not null,
    item text not null,                   -- the composed code that the platform knows
    period text not null check (period in ('slot', 'day', 'month')),
    period_start timestamptz not null,
    revision int not null check (revision > 0),
    value text not null,                  -- plain decimal, as it is told
    unit text not null,
    validity text not null check (validity in ('measured', 'estimated')),
    input text not null check (input in ('auto', 'manual')),
    made_by text,                         -- who entered it by hand
    made_at timestamptz not null,
    unique (site, item, period, period_start, revision),
    check ((input = 'manual') = (made_by is not null))
);
create index report_figure_made on report_figure (made_at);

create table report_session (             -- one a platform: core.reportsession.State
    destination text primary key,
    site text not null,
    state text not null check (state in ('stranger', 'registered', 'informed', 'ready')),
    since timestamptz not null,
    failures int not null default 0,      -- in a row
    next_at timestamptz not null,         -- nothing is sent before
    enqueued bigint not null default 0,   -- every figure of the site up to here has its delivery
    tables_version text,
    meters_sha256 bytea,                  -- of the declaration that was accepted
    meters_at timestamptz,
    heard_at timestamptz,                 -- last acceptance of anything
    detail text not null default ''       -- the last answer, one sentence
);

create table report_delivery (            -- how a figure stands with a platform: core.reportsession.Told
    destination text not null references report_session,
    figure bigint not null references report_figure on delete cascade,
    state text not null default 'waiting'
        check (state in ('waiting', 'accepted', 'superseded', 'expired')),
    refusals int not null default 0,
    next_at timestamptz not null,
    settled_at timestamptz,
    upload uuid,                          -- the message that was accepted
    primary key (destination, figure),
    check ((state = 'waiting') = (settled_at is null)),
    check (state <> 'accepted' or upload is not null)
);
create index report_delivery_waiting on report_delivery (destination, figure)
    where state = 'waiting';
create index report_delivery_figure on report_delivery (figure);

create table report_upload (              -- what was sent and what came back, but for beats that were well
    upload uuid primary key,
    destination text not null,
    operation text not null,
    at timestamptz not null,
    took_ms int not null,
    status int,                           -- of HTTP; null: there was no answer
    event text not null,
    figures int not null,                 -- how many the message carried
    detail text not null                  -- one sentence, never a secret
);
create index report_upload_at on report_upload (destination, at);

create trigger never_changed before update or truncate on report_figure
    for each statement execute function refuse_rewriting();
create trigger never_changed before update or truncate on report_upload
    for each statement execute function refuse_rewriting();
