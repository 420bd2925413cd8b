-- Facts of any stream in any unit: what was received, shipped, charged, used, found in stock.

alter table output_fact
    add column stream text,               -- what it is of; null: the unit's product
    add column amount_unit text;          -- of mass_e6; null: tonnes
alter table output_fact drop constraint output_fact_kind_check;
alter table output_fact add constraint output_fact_kind_check check (kind in (
    'tapping', 'weighing', 'stock', 'correction', 'receipt', 'shipment', 'charge', 'use', 'base'));

-- The last stock-taking before an instant is looked for among the few facts that have a stream.
create index output_fact_stream on output_fact (unit, stream, at) where stream is not null;
