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

-- migrate:down

drop table position_changes;
