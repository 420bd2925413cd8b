-- Marks of touched slots, packed: one row a batch and span instead of one a batch and point, so that
-- a hundred thousand points at a second cost a few rows a second.
alter table touched rename to touched_before;
alter table touched_before drop constraint touched_pkey;
create table touched (                    -- spans whose slots must be computed; same commit as readings
    touched_id bigint generated always as identity primary key,
    from_ts timestamptz not null,
    until_ts timestamptz not null,        -- half-open
    first_points int4[] not null,         -- runs of points: first_points[i] to last_points[i]
    last_points int4[] not null,
    marked_at timestamptz not null default now()
);
insert into touched (from_ts, until_ts, first_points, last_points, marked_at)
    select from_ts, until_ts, array[point_id], array[point_id], marked_at
    from touched_before order by touched_id;
drop table touched_before;
