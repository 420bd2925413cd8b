-- Plain PostgreSQL: one partition a day (UTC), made ahead by the scheduler and on demand by writers.
-- There is no default partition: attaching beside one would lock out its readers and read it all.
set local statement_timeout = 0;

insert into store_engine (engine, span_days) values ('plain', 1);

alter table reading rename to reading_before;
alter index reading_pkey rename to reading_before_pkey;
create table reading (                    -- column order: 13 % less heap
    ts timestamptz not null,              -- measured at
    recorded_at timestamptz not null,     -- the commit's, shared by a whole batch
    value float8 not null,                -- counts exact to 2^53; NaN only where quality is bad
    point_id int not null,
    quality int2 not null,                -- 0 good, 1 uncertain, 2 bad
    primary key (point_id, ts)
) partition by range (ts);

do $$
declare
    day date;
begin
    for day in select distinct (ts at time zone 'UTC')::date from reading_before order by 1 loop
        execute format('create table reading_%s partition of reading for values from (%L) to (%L)',
            to_char(day, 'YYYYMMDD'), day || ' 00:00Z', day + 1 || ' 00:00Z');
    end loop;
end $$;
insert into reading (ts, recorded_at, value, point_id, quality)
    select ts, recorded_at, value, point_id, quality from reading_before order by ts, point_id;
drop table reading_before;
