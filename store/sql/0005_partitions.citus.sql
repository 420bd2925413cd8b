-- Citus: readings and slots spread over the workers by point, side by side; readings in partitions
-- of a week, so that shards times spans stays small. All else stays on the coordinator.
set local statement_timeout = 0;
set local citus.multi_shard_modify_mode = 'sequential';

insert into store_engine (engine, span_days) values ('citus', 7);

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
    first_day date;
    shards int := 2 * (select count(*) from pg_dist_node where isactive and shouldhaveshards);
begin
    -- Weeks are counted from 1970-01-01, as the program counts them.
    for first_day in
        select distinct date '1970-01-01' + 7 * floor(extract(epoch from ts) / 604800)::int
        from reading_before order by 1
    loop
        execute format('create table reading_%s partition of reading for values from (%L) to (%L)',
            to_char(first_day, 'YYYYMMDD'), first_day || ' 00:00Z', first_day + 7 || ' 00:00Z');
    end loop;
    insert into reading (ts, recorded_at, value, point_id, quality)
        select ts, recorded_at, value, point_id, quality from reading_before order by ts, point_id;
    perform create_distributed_table('reading', 'point_id', shard_count => shards);
    perform create_distributed_table('slot_energy', 'point_id', colocate_with => 'reading');
end $$;
drop table reading_before;
