-- Alerts decided, and told apart from it: state, history, outbox of notifications, attempts.
-- Stays on one node (with Citus: the coordinator).

create table alert (                      -- one per (unit, indicator, kind of period, limit)
    alert uuid primary key default gen_random_uuid(),
    unit text not null,
    indicator text not null,
    period text not null,
    limit_id text not null,
    kind text not null default 'exceedance' check (kind in ('exceedance')),
    state text not null check (state in ('pending', 'firing', 'clearing', 'resolved')),
    since timestamptz not null,           -- when it entered its state
    severity int2 not null check (severity between 0 and 4),
    episode int not null,                 -- grows each time it is raised
    period_start timestamptz,             -- first period of the episode; null before the first
    last_start timestamptz not null,      -- newest period that exceeded
    closed_start timestamptz,             -- newest closed period whose finding stands
    standing bool not null,               -- the last finding is a closed period's
    raised_at timestamptz,
    resolved_at timestamptz,
    delivered_at timestamptz,             -- first receipt in the episode
    acknowledged_at timestamptz,
    acknowledged_by text,
    figure jsonb not null,                -- what stood behind the last change: value, verdict, ...
    created_at timestamptz not null,
    updated_at timestamptz not null,
    change bigint generated always as identity, -- grows with every write: what the live stream asks for
    unique (unit, indicator, period, limit_id),
    check ((acknowledged_at is null) = (acknowledged_by is null))
);
create index alert_change on alert (change);
create index alert_updated on alert (updated_at);
create index alert_created on alert (created_at desc, alert desc);

create table alert_transition (           -- append-only
    transition_id bigint generated always as identity primary key,
    alert uuid not null references alert,
    at timestamptz not null,
    from_state text not null,
    to_state text not null,
    severity int2 not null,
    episode int not null,
    notice text,                          -- what was told, null: nothing
    figure jsonb not null
);
create index alert_transition_alert on alert_transition (alert, transition_id);

create table notification (               -- what must be told to whom; same commit as the state
    notification uuid primary key,        -- the idempotency key
    number bigint generated always as identity, -- the order of one alert's on one channel
    alert uuid not null references alert,
    episode int not null,
    channel text not null,
    kind text not null check (kind in ('firing', 'finding', 'resolved')),
    body text not null,                   -- the very bytes that are sent
    created_at timestamptz not null,
    state text not null default 'waiting' check (state in ('waiting', 'delivered', 'abandoned')),
    attempts int not null default 0,
    next_at timestamptz not null,
    delivered_at timestamptz,
    receipt text,
    check ((state = 'delivered') = (receipt is not null))
);
create index notification_waiting on notification (channel, next_at) where state = 'waiting';
create index notification_alert on notification (alert, channel, number);

create table delivery_attempt (           -- append-only
    attempt_id bigint generated always as identity primary key,
    notification uuid not null references notification,
    at timestamptz not null,
    took_ms int not null,
    status int,                           -- of HTTP; null: there was no answer
    outcome text not null check (outcome in ('delivered', 'failed')),
    detail text not null                  -- one sentence, never a secret
);
create index delivery_attempt_notification on delivery_attempt (notification, attempt_id);

create function refuse_rewriting() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end $$;
create trigger append_only before update or delete or truncate on alert_transition
    for each statement execute function refuse_rewriting();
create trigger append_only before update or delete or truncate on delivery_attempt
    for each statement execute function refuse_rewriting();
