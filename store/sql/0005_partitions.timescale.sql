-- TimescaleDB: a hypertable of one chunk a day; chunks past the late window go to the columnstore,
-- segmented by point. Our own scheduler compresses and drops: its background jobs may be silent.
set local statement_timeout = 0;

insert into store_engine (engine, span_days) values ('timescale', 1);

do $$
begin
    perform create_hypertable('reading', by_range('ts', interval '1 day'),
        create_default_indexes => false, migrate_data => true);
end $$;
alter table reading set (timescaledb.compress, timescaledb.compress_segmentby = 'point_id',
    timescaledb.compress_orderby = 'ts');
