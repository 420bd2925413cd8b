-- Alerts about the data, the agents and the service itself, beside those about limits.
-- Stays on one node (with Citus: the coordinator).

alter table alert
    alter column unit drop not null,      -- of a condition: where its subject lies in one
    alter column indicator drop not null,
    alter column period drop not null,
    alter column limit_id drop not null,
    alter column last_start drop not null,
    add column site text,                 -- null: it belongs to the store itself
    add column condition text,            -- an id of core/data/conditions.toml
    add column subject_kind text
        check (subject_kind in ('unit', 'point', 'agent', 'site', 'channel', 'store')),
    add column subject text;
update alert set site = split_part(unit, '.', 1);
alter table alert drop constraint alert_kind_check;
alter table alert
    add constraint alert_kind_check check (kind in ('exceedance', 'condition')),
    add constraint alert_about_check check (case kind
        when 'exceedance' then unit is not null and indicator is not null and period is not null
            and limit_id is not null and last_start is not null and site is not null
            and condition is null and subject_kind is null and subject is null
        else condition is not null and subject_kind is not null and subject is not null
            and indicator is null and period is null and limit_id is null end),
    add constraint alert_condition_key unique (condition, subject_kind, subject);

alter table notification drop constraint notification_kind_check;
alter table notification add constraint notification_kind_check check (kind in (
    'firing', 'finding', 'resolved', 'withdrawn', 'escalated', 'overdue', 'bundle'));

alter table agent_status
    add column troubles jsonb not null default '{}'; -- counts that the agent names in its last word

create table watched_count (              -- counters that only grow, and when they last grew
    condition text not null,
    subject_kind text not null,
    subject text not null,
    counted bigint not null,              -- as it was last seen; falls when its source begins anew
    grown bigint not null,                -- by how much since it is quiet no more
    grown_at timestamptz,                 -- null: not while it was watched
    seen_at timestamptz not null,
    primary key (condition, subject_kind, subject)
);

create table bound_hit (                  -- each bound that something ran into, as programs say
    bound text primary key,               -- its name, words with dashes
    hits bigint not null,                 -- of all programs, ever
    detail text not null,                 -- one sentence for a person
    told_at timestamptz not null
);

create index notification_abandoned on notification (channel) where state = 'abandoned';
create index report_delivery_expired on report_delivery (destination) where state = 'expired';
