-- Several ingest workers: each has a number, each site has one worker; how long an outbox has holes.

create table ingest_worker (              -- who is at work now; renewed every few seconds
    worker uuid primary key,
    number int not null unique check (number > 0), -- the smallest free one: part of its client id
    expires_at timestamptz not null
);

delete from agent_lease;                  -- of programs that ran before: one lease on all agents

alter table agent_epoch
    add column missing_since timestamptz; -- since when sequences are missing; null while none is
update agent_epoch set missing_since = updated_at where not isempty(missing);
