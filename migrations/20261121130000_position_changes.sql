-- migrate:up

create table position_changes (
    sku text not null,
    location text not null,
    partition integer not null,
    seq bigint not null,
    after bigint not null,
    primary key (sku, location, partition, seq)
);
comment on table position_changes is
    'Where in entries the last change of a position stands, one row per batch of the journal that changed it: finds the balance of a position at any seq without reading the history of a sku.';
comment on column position_changes.seq is 'The last entry of the batch that carries a balance of the position.';
comment on column position_changes.after is
    'The watermark before the batch: earlier changes of the same batch lie between it and seq, and only entries has them.';

-- What is already journaled: a balance is an array of a sku, a location and numbers, within an array of the entry.
insert into position_changes (sku, location, partition, seq, after)
select distinct b.value ->> 0, b.value ->> 1, e.partition, e.seq, e.seq - 1
from entries e
cross join lateral jsonb_array_elements(e.body) as part
cross join lateral jsonb_array_elements(case jsonb_typeof(part.value) when 'array' then part.value else '[]' end) as b
where jsonb_typeof(b.value) = 'array' and jsonb_typeof(b.value -> 0) = 'string'
    and jsonb_typeof(b.value -> 1) = 'string' and jsonb_typeof(b.value -> 2) = 'number';

-- migrate:down

drop table position_changes;
