-- How notifications are delivered: bundles, a second channel for a first that is out, the circuit of
-- each channel. Stays on one node (with Citus: the coordinator).

alter table notification
    alter column alert drop not null,     -- a bundle is of a channel, not of one alert
    alter column episode drop not null,
    add column severity int2 not null default 0 check (severity between 0 and 4), -- when it was decided
    add column tried_at timestamptz,      -- when its first attempt began; written before the attempt
    add column bundle uuid references notification, -- it is told by this bundle, not by itself
    add column origin uuid references notification, -- escalated: what another channel did not take
    add column escalated_at timestamptz,  -- when the second channel was told of it
    add check ((kind = 'bundle') = (alert is null)),
    add check ((alert is null) = (episode is null)),
    add check (kind <> 'bundle' or (bundle is null and origin is null and escalated_at is null)),
    add check (bundle is null or tried_at is null); -- told by itself or in a bundle, never both ways

update notification n set
    severity = (select severity from alert a where a.alert = n.alert),
    tried_at = (select min(at) from delivery_attempt d where d.notification = n.notification);

-- What one channel did not take is told once to each other channel, whichever way it comes there.
create unique index notification_matter on notification (coalesce(origin, notification), channel);
create index notification_turn on notification (channel, number)
    where state = 'waiting' and bundle is null;
create index notification_bundle on notification (bundle) where bundle is not null;
create index notification_delivered on notification (channel, delivered_at)
    where state = 'delivered' and bundle is null;

create table delivery_circuit (           -- how a channel has fared; one row a channel
    channel text primary key,
    state text not null check (state in ('closed', 'open')),
    failures int not null,                -- in a row
    failing_since timestamptz,            -- the first of them
    open_until timestamptz,               -- then one attempt is made
    tried_at timestamptz not null,        -- the end of the newest attempt
    delivered_at timestamptz,             -- the newest receipt
    detail text not null,                 -- how the newest attempt went, never a secret
    check ((failures = 0) = (failing_since is null)),
    check ((state = 'open') = (open_until is not null))
);
