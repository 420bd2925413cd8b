-- Cases: what people do about an alert. The table of core/cases.py stands here as rows, and nothing
-- that is not among them can be written. Stays on one node (with Citus: the coordinator).

create table case_step (                  -- core.cases.STEPS, row by row
    closes text not null check (closes in ('recovery', 'plant', 'both')),
    from_state text not null,
    event text not null,
    side text not null check (side in ('system', 'plant', 'regulator')),
    to_state text not null,
    primary key (closes, from_state, event, side),
    unique (closes, from_state, event, side, to_state)
);
insert into case_step values
    ('recovery', 'absent', 'raise', 'system', 'raised'),
    ('recovery', 'raised', 'deliver', 'system', 'delivered'),
    ('recovery', 'raised', 'acknowledge', 'plant', 'acknowledged'),
    ('recovery', 'delivered', 'acknowledge', 'plant', 'acknowledged'),
    ('recovery', 'escalated', 'acknowledge', 'plant', 'acknowledged'),
    ('recovery', 'raised', 'explain', 'plant', 'explained'),
    ('recovery', 'delivered', 'explain', 'plant', 'explained'),
    ('recovery', 'acknowledged', 'explain', 'plant', 'explained'),
    ('recovery', 'explained', 'explain', 'plant', 'explained'),
    ('recovery', 'escalated', 'explain', 'plant', 'explained'),
    ('recovery', 'explained', 'plan', 'plant', 'planned'),
    ('recovery', 'planned', 'plan', 'plant', 'planned'),
    ('recovery', 'raised', 'recur', 'system', 'raised'),
    ('recovery', 'delivered', 'recur', 'system', 'delivered'),
    ('recovery', 'acknowledged', 'recur', 'system', 'acknowledged'),
    ('recovery', 'explained', 'recur', 'system', 'explained'),
    ('recovery', 'planned', 'recur', 'system', 'planned'),
    ('recovery', 'escalated', 'recur', 'system', 'escalated'),
    ('recovery', 'suppressed', 'recur', 'system', 'suppressed'),
    ('recovery', 'raised', 'unreachable', 'system', 'raised'),
    ('recovery', 'delivered', 'unreachable', 'system', 'delivered'),
    ('recovery', 'acknowledged', 'unreachable', 'system', 'acknowledged'),
    ('recovery', 'explained', 'unreachable', 'system', 'explained'),
    ('recovery', 'planned', 'unreachable', 'system', 'planned'),
    ('recovery', 'escalated', 'unreachable', 'system', 'escalated'),
    ('recovery', 'suppressed', 'unreachable', 'system', 'suppressed'),
    ('recovery', 'raised', 'grow', 'system', 'raised'),
    ('recovery', 'delivered', 'grow', 'system', 'raised'),
    ('recovery', 'acknowledged', 'grow', 'system', 'raised'),
    ('recovery', 'explained', 'grow', 'system', 'raised'),
    ('recovery', 'planned', 'grow', 'system', 'raised'),
    ('recovery', 'escalated', 'grow', 'system', 'escalated'),
    ('recovery', 'suppressed', 'grow', 'system', 'suppressed'),
    ('recovery', 'raised', 'escalate', 'system', 'escalated'),
    ('recovery', 'delivered', 'escalate', 'system', 'escalated'),
    ('recovery', 'acknowledged', 'escalate', 'system', 'escalated'),
    ('recovery', 'explained', 'escalate', 'system', 'escalated'),
    ('recovery', 'planned', 'escalate', 'system', 'escalated'),
    ('recovery', 'raised', 'suppress', 'system', 'suppressed'),
    ('recovery', 'delivered', 'suppress', 'system', 'suppressed'),
    ('recovery', 'acknowledged', 'suppress', 'system', 'suppressed'),
    ('recovery', 'suppressed', 'resume', 'system', 'raised'),
    ('recovery', 'suppressed', 'recover', 'system', 'closed'),
    ('recovery', 'raised', 'withdraw', 'system', 'withdrawn'),
    ('recovery', 'delivered', 'withdraw', 'system', 'withdrawn'),
    ('recovery', 'acknowledged', 'withdraw', 'system', 'withdrawn'),
    ('recovery', 'explained', 'withdraw', 'system', 'withdrawn'),
    ('recovery', 'planned', 'withdraw', 'system', 'withdrawn'),
    ('recovery', 'escalated', 'withdraw', 'system', 'withdrawn'),
    ('recovery', 'suppressed', 'withdraw', 'system', 'withdrawn'),
    ('recovery', 'closed', 'withdraw', 'system', 'withdrawn'),
    ('recovery', 'raised', 'recover', 'system', 'closed'),
    ('recovery', 'delivered', 'recover', 'system', 'closed'),
    ('recovery', 'acknowledged', 'recover', 'system', 'closed'),
    ('recovery', 'explained', 'recover', 'system', 'closed'),
    ('recovery', 'planned', 'recover', 'system', 'closed'),
    ('recovery', 'escalated', 'recover', 'system', 'closed'),
    ('recovery', 'acknowledged', 'close', 'plant', 'closed'),
    ('recovery', 'explained', 'close', 'plant', 'closed'),
    ('recovery', 'planned', 'close', 'plant', 'closed'),
    ('plant', 'absent', 'raise', 'system', 'raised'),
    ('plant', 'raised', 'deliver', 'system', 'delivered'),
    ('plant', 'raised', 'acknowledge', 'plant', 'acknowledged'),
    ('plant', 'delivered', 'acknowledge', 'plant', 'acknowledged'),
    ('plant', 'escalated', 'acknowledge', 'plant', 'acknowledged'),
    ('plant', 'raised', 'explain', 'plant', 'explained'),
    ('plant', 'delivered', 'explain', 'plant', 'explained'),
    ('plant', 'acknowledged', 'explain', 'plant', 'explained'),
    ('plant', 'explained', 'explain', 'plant', 'explained'),
    ('plant', 'escalated', 'explain', 'plant', 'explained'),
    ('plant', 'explained', 'plan', 'plant', 'planned'),
    ('plant', 'planned', 'plan', 'plant', 'planned'),
    ('plant', 'raised', 'recur', 'system', 'raised'),
    ('plant', 'delivered', 'recur', 'system', 'delivered'),
    ('plant', 'acknowledged', 'recur', 'system', 'acknowledged'),
    ('plant', 'explained', 'recur', 'system', 'explained'),
    ('plant', 'planned', 'recur', 'system', 'planned'),
    ('plant', 'escalated', 'recur', 'system', 'escalated'),
    ('plant', 'suppressed', 'recur', 'system', 'suppressed'),
    ('plant', 'raised', 'unreachable', 'system', 'raised'),
    ('plant', 'delivered', 'unreachable', 'system', 'delivered'),
    ('plant', 'acknowledged', 'unreachable', 'system', 'acknowledged'),
    ('plant', 'explained', 'unreachable', 'system', 'explained'),
    ('plant', 'planned', 'unreachable', 'system', 'planned'),
    ('plant', 'escalated', 'unreachable', 'system', 'escalated'),
    ('plant', 'suppressed', 'unreachable', 'system', 'suppressed'),
    ('plant', 'raised', 'grow', 'system', 'raised'),
    ('plant', 'delivered', 'grow', 'system', 'raised'),
    ('plant', 'acknowledged', 'grow', 'system', 'raised'),
    ('plant', 'explained', 'grow', 'system', 'raised'),
    ('plant', 'planned', 'grow', 'system', 'raised'),
    ('plant', 'escalated', 'grow', 'system', 'escalated'),
    ('plant', 'suppressed', 'grow', 'system', 'suppressed'),
    ('plant', 'raised', 'escalate', 'system', 'escalated'),
    ('plant', 'delivered', 'escalate', 'system', 'escalated'),
    ('plant', 'acknowledged', 'escalate', 'system', 'escalated'),
    ('plant', 'explained', 'escalate', 'system', 'escalated'),
    ('plant', 'planned', 'escalate', 'system', 'escalated'),
    ('plant', 'raised', 'suppress', 'system', 'suppressed'),
    ('plant', 'delivered', 'suppress', 'system', 'suppressed'),
    ('plant', 'acknowledged', 'suppress', 'system', 'suppressed'),
    ('plant', 'suppressed', 'resume', 'system', 'raised'),
    ('plant', 'suppressed', 'recover', 'system', 'closed'),
    ('plant', 'raised', 'withdraw', 'system', 'withdrawn'),
    ('plant', 'delivered', 'withdraw', 'system', 'withdrawn'),
    ('plant', 'acknowledged', 'withdraw', 'system', 'withdrawn'),
    ('plant', 'explained', 'withdraw', 'system', 'withdrawn'),
    ('plant', 'planned', 'withdraw', 'system', 'withdrawn'),
    ('plant', 'escalated', 'withdraw', 'system', 'withdrawn'),
    ('plant', 'suppressed', 'withdraw', 'system', 'withdrawn'),
    ('plant', 'closed', 'withdraw', 'system', 'withdrawn'),
    ('plant', 'raised', 'recover', 'system', 'raised'),
    ('plant', 'delivered', 'recover', 'system', 'delivered'),
    ('plant', 'acknowledged', 'recover', 'system', 'acknowledged'),
    ('plant', 'explained', 'recover', 'system', 'explained'),
    ('plant', 'planned', 'recover', 'system', 'planned'),
    ('plant', 'escalated', 'recover', 'system', 'escalated'),
    ('plant', 'acknowledged', 'close', 'plant', 'closed'),
    ('plant', 'explained', 'close', 'plant', 'closed'),
    ('plant', 'planned', 'close', 'plant', 'closed'),
    ('both', 'absent', 'raise', 'system', 'raised'),
    ('both', 'raised', 'deliver', 'system', 'delivered'),
    ('both', 'raised', 'acknowledge', 'plant', 'acknowledged'),
    ('both', 'delivered', 'acknowledge', 'plant', 'acknowledged'),
    ('both', 'escalated', 'acknowledge', 'plant', 'acknowledged'),
    ('both', 'raised', 'explain', 'plant', 'explained'),
    ('both', 'delivered', 'explain', 'plant', 'explained'),
    ('both', 'acknowledged', 'explain', 'plant', 'explained'),
    ('both', 'explained', 'explain', 'plant', 'explained'),
    ('both', 'disputed', 'explain', 'plant', 'explained'),
    ('both', 'escalated', 'explain', 'plant', 'explained'),
    ('both', 'explained', 'plan', 'plant', 'planned'),
    ('both', 'accepted', 'plan', 'plant', 'planned'),
    ('both', 'disputed', 'plan', 'plant', 'planned'),
    ('both', 'planned', 'plan', 'plant', 'planned'),
    ('both', 'raised', 'recur', 'system', 'raised'),
    ('both', 'delivered', 'recur', 'system', 'delivered'),
    ('both', 'acknowledged', 'recur', 'system', 'acknowledged'),
    ('both', 'explained', 'recur', 'system', 'explained'),
    ('both', 'accepted', 'recur', 'system', 'accepted'),
    ('both', 'disputed', 'recur', 'system', 'disputed'),
    ('both', 'planned', 'recur', 'system', 'planned'),
    ('both', 'plant_closed', 'recur', 'system', 'plant_closed'),
    ('both', 'regulator_closed', 'recur', 'system', 'regulator_closed'),
    ('both', 'escalated', 'recur', 'system', 'escalated'),
    ('both', 'suppressed', 'recur', 'system', 'suppressed'),
    ('both', 'raised', 'unreachable', 'system', 'raised'),
    ('both', 'delivered', 'unreachable', 'system', 'delivered'),
    ('both', 'acknowledged', 'unreachable', 'system', 'acknowledged'),
    ('both', 'explained', 'unreachable', 'system', 'explained'),
    ('both', 'accepted', 'unreachable', 'system', 'accepted'),
    ('both', 'disputed', 'unreachable', 'system', 'disputed'),
    ('both', 'planned', 'unreachable', 'system', 'planned'),
    ('both', 'plant_closed', 'unreachable', 'system', 'plant_closed'),
    ('both', 'regulator_closed', 'unreachable', 'system', 'regulator_closed'),
    ('both', 'escalated', 'unreachable', 'system', 'escalated'),
    ('both', 'suppressed', 'unreachable', 'system', 'suppressed'),
    ('both', 'raised', 'grow', 'system', 'raised'),
    ('both', 'delivered', 'grow', 'system', 'raised'),
    ('both', 'acknowledged', 'grow', 'system', 'raised'),
    ('both', 'explained', 'grow', 'system', 'raised'),
    ('both', 'accepted', 'grow', 'system', 'raised'),
    ('both', 'disputed', 'grow', 'system', 'raised'),
    ('both', 'planned', 'grow', 'system', 'raised'),
    ('both', 'plant_closed', 'grow', 'system', 'raised'),
    ('both', 'regulator_closed', 'grow', 'system', 'raised'),
    ('both', 'escalated', 'grow', 'system', 'escalated'),
    ('both', 'suppressed', 'grow', 'system', 'suppressed'),
    ('both', 'raised', 'escalate', 'system', 'escalated'),
    ('both', 'delivered', 'escalate', 'system', 'escalated'),
    ('both', 'acknowledged', 'escalate', 'system', 'escalated'),
    ('both', 'explained', 'escalate', 'system', 'escalated'),
    ('both', 'accepted', 'escalate', 'system', 'escalated'),
    ('both', 'disputed', 'escalate', 'system', 'escalated'),
    ('both', 'planned', 'escalate', 'system', 'escalated'),
    ('both', 'raised', 'suppress', 'system', 'suppressed'),
    ('both', 'delivered', 'suppress', 'system', 'suppressed'),
    ('both', 'acknowledged', 'suppress', 'system', 'suppressed'),
    ('both', 'suppressed', 'resume', 'system', 'raised'),
    ('both', 'suppressed', 'recover', 'system', 'closed'),
    ('both', 'raised', 'withdraw', 'system', 'withdrawn'),
    ('both', 'delivered', 'withdraw', 'system', 'withdrawn'),
    ('both', 'acknowledged', 'withdraw', 'system', 'withdrawn'),
    ('both', 'explained', 'withdraw', 'system', 'withdrawn'),
    ('both', 'accepted', 'withdraw', 'system', 'withdrawn'),
    ('both', 'disputed', 'withdraw', 'system', 'withdrawn'),
    ('both', 'planned', 'withdraw', 'system', 'withdrawn'),
    ('both', 'plant_closed', 'withdraw', 'system', 'withdrawn'),
    ('both', 'regulator_closed', 'withdraw', 'system', 'withdrawn'),
    ('both', 'escalated', 'withdraw', 'system', 'withdrawn'),
    ('both', 'suppressed', 'withdraw', 'system', 'withdrawn'),
    ('both', 'closed', 'withdraw', 'system', 'withdrawn'),
    ('both', 'raised', 'recover', 'system', 'raised'),
    ('both', 'delivered', 'recover', 'system', 'delivered'),
    ('both', 'acknowledged', 'recover', 'system', 'acknowledged'),
    ('both', 'explained', 'recover', 'system', 'explained'),
    ('both', 'accepted', 'recover', 'system', 'accepted'),
    ('both', 'disputed', 'recover', 'system', 'disputed'),
    ('both', 'planned', 'recover', 'system', 'planned'),
    ('both', 'plant_closed', 'recover', 'system', 'plant_closed'),
    ('both', 'regulator_closed', 'recover', 'system', 'regulator_closed'),
    ('both', 'escalated', 'recover', 'system', 'escalated'),
    ('both', 'explained', 'accept', 'regulator', 'accepted'),
    ('both', 'planned', 'accept', 'regulator', 'planned'),
    ('both', 'explained', 'dispute', 'regulator', 'disputed'),
    ('both', 'accepted', 'dispute', 'regulator', 'disputed'),
    ('both', 'planned', 'dispute', 'regulator', 'disputed'),
    ('both', 'plant_closed', 'dispute', 'regulator', 'disputed'),
    ('both', 'explained', 'close', 'plant', 'plant_closed'),
    ('both', 'accepted', 'close', 'plant', 'plant_closed'),
    ('both', 'planned', 'close', 'plant', 'plant_closed'),
    ('both', 'accepted', 'close', 'regulator', 'regulator_closed'),
    ('both', 'planned', 'close', 'regulator', 'regulator_closed'),
    ('both', 'escalated', 'close', 'regulator', 'regulator_closed'),
    ('both', 'plant_closed', 'close', 'regulator', 'closed'),
    ('both', 'regulator_closed', 'close', 'plant', 'closed'),
    ('both', 'explained', 'overdue', 'system', 'explained'),
    ('both', 'plant_closed', 'overdue', 'system', 'plant_closed'),
    ('both', 'regulator_closed', 'overdue', 'system', 'regulator_closed');
create trigger never_changed before insert or update or delete or truncate on case_step
    for each statement execute function refuse_rewriting();

create table alert_case (                 -- one or none of an alert is open
    alert_case uuid primary key default gen_random_uuid(),
    alert uuid not null references alert,
    number int not null check (number > 0), -- of the alert's cases
    site text,                            -- null: it belongs to the store itself
    timezone text not null,               -- its working days are counted in
    state text not null check (state <> 'absent'),
    position int not null check (position > 0), -- of its newest transition
    severity int2 not null check (severity between 0 and 4), -- at least the alert's
    closes text not null check (closes in ('recovery', 'plant', 'both')),
    opened_at timestamptz not null,
    since timestamptz not null,           -- when it entered its state, or people renewed it
    clock_from timestamptz not null,      -- when its time began to run
    plan_due date,                        -- last day of the corrective plan
    duty text,                            -- what is waited for; null: nothing
    duty_side text,
    due_at timestamptz,                   -- null: it does not run out
    working_days int,
    calendar_known bool,
    lapsed_at timestamptz,                -- when it was told that it has run out
    updated_at timestamptz not null,
    change bigint generated always as identity,
    unique (alert, number),
    check ((duty is null) = (duty_side is null)),
    check (due_at is null or duty is not null)
);
create unique index alert_case_open on alert_case (alert) where state not in ('closed', 'withdrawn');
create index alert_case_due on alert_case (due_at) where due_at is not null and lapsed_at is null;
create index alert_case_opened on alert_case (opened_at desc, alert_case desc);

create table case_transition (            -- append-only; each row goes on from the one before
    alert_case uuid not null references alert_case,
    position int not null check (position > 0),
    before int generated always as (nullif(position - 1, 0)) stored,
    at timestamptz not null,
    closes text not null,
    from_state text not null,
    event text not null,
    side text not null,
    to_state text not null,
    severity int2 not null,
    who text not null,
    role text not null,
    detail jsonb not null,                -- words, cause, attachments, days: what the event brought
    primary key (alert_case, position),
    unique (alert_case, position, to_state),
    foreign key (closes, from_state, event, side, to_state)
        references case_step (closes, from_state, event, side, to_state),
    foreign key (alert_case, before, from_state)
        references case_transition (alert_case, position, to_state),
    check ((position = 1) = (from_state = 'absent'))
);

create table case_finding (               -- append-only: the closed periods that a case rests on
    case_finding bigint generated always as identity primary key,
    alert_case uuid not null references alert_case,
    period_start timestamptz not null,
    at timestamptz not null,
    stands bool not null                  -- the newest row of a period says what holds
);
create index case_finding_case on case_finding (alert_case, period_start, case_finding);

create table case_attachment (            -- append-only
    attachment uuid primary key default gen_random_uuid(),
    alert_case uuid not null references alert_case,
    at timestamptz not null,
    who text not null,
    side text not null check (side in ('plant', 'regulator')),
    name text not null check (length(name) between 1 and 200),
    media_type text not null,
    sha256 bytea not null check (length(sha256) = 32),
    content bytea not null check (length(content) between 1 and 5242880),
    unique (alert_case, sha256)
);

create trigger append_only before update or delete or truncate on case_transition
    for each statement execute function refuse_rewriting();
create trigger append_only before update or delete or truncate on case_finding
    for each statement execute function refuse_rewriting();
create trigger append_only before update or delete or truncate on case_attachment
    for each statement execute function refuse_rewriting();
create trigger never_deleted before delete or truncate on alert_case
    for each statement execute function refuse_rewriting();

-- A case stands where its history leaves it: asked at commit, so that a restore may fill one table
-- after the other.
create function case_stands_by_its_history() returns trigger language plpgsql as $$
declare
    kept alert_case;
    newest case_transition;
begin
    select * into kept from alert_case where alert_case = new.alert_case;
    select * into newest from case_transition where alert_case = new.alert_case
        order by position desc limit 1;
    if newest is null or kept.position <> newest.position or kept.state <> newest.to_state
        or kept.closes <> newest.closes or kept.severity <> newest.severity then
        raise exception 'case % stands at % (%), its history at % (%)', new.alert_case,
            kept.state, kept.position, newest.to_state, newest.position
            using errcode = 'check_violation';
    end if;
    return null;
end $$;
create constraint trigger stands_by_its_history after insert or update on alert_case
    deferrable initially deferred for each row execute function case_stands_by_its_history();
create constraint trigger stands_by_its_history after insert on case_transition
    deferrable initially deferred for each row execute function case_stands_by_its_history();

-- What a case is about never changes, and what closes it only widens.
create function case_keeps_its_subject() returns trigger language plpgsql as $$
declare
    wider constant text[] := array['recovery', 'plant', 'both'];
begin
    if (new.alert_case, new.alert, new.number, new.opened_at)
            is distinct from (old.alert_case, old.alert, old.number, old.opened_at)
        or new.site is distinct from old.site or new.severity < old.severity
        or array_position(wider, new.closes) < array_position(wider, old.closes) then
        raise exception 'case % may go on, but not become another one', old.alert_case
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger keeps_its_subject before update on alert_case
    for each row execute function case_keeps_its_subject();
