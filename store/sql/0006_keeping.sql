-- Dead letters that are mended, replayed, discarded; readings that reach the ledger past the workers.

alter table dead_letter                   -- what came is never changed; what a person did stands beside
    add column mended_topic text,
    add column mended_payload bytea,
    add column mended_at timestamptz,
    add column mended_by text,
    add column asked_at timestamptz,      -- to be replayed by the next worker that looks
    add column asked_by text,
    add column replayed_at timestamptz,
    add column replayed_by text,
    add column outcome text               -- of the last replay
        check (outcome in ('stored', 'same', 'refused', 'cut')),
    add column outcome_detail text,
    add column discarded_at timestamptz,
    add column discarded_by text,
    add check ((mended_payload is null) = (mended_at is null)),
    add check ((replayed_at is null) = (outcome is null));
create index dead_letter_asked on dead_letter (dead_letter_id) where asked_at is not null;

create table dead_letter_removed (        -- letters that made room for newer ones
    reason text primary key,
    letters bigint not null,
    settled bigint not null,              -- of them: replayed with success, or discarded
    last_at timestamptz not null
);

alter table touched add column marked_at timestamptz not null default now();
alter table touched_unit add column marked_at timestamptz not null default now();
