-- migrate:up

alter table exceptions
    add column seq bigint,
    add column sku text not null default '',
    add column location text not null default '',
    add column source text not null default '',
    add column reservation text not null default '',
    add column resolved_at timestamptz,
    add column resolution text,
    add column resolved_by text,
    add column reason text;
comment on column exceptions.seq is 'The entry that raised it; null for what the journal found by itself.';
comment on column exceptions.resolution is 'How it ended: over by itself, superseded by a newer one, or a person''s word.';

create unique index exceptions_by_entry on exceptions (partition, seq) where seq is not null;
create index exceptions_open on exceptions (kind, id) where resolved_at is null;

-- migrate:down

drop index exceptions_open, exceptions_by_entry;
alter table exceptions
    drop column seq, drop column sku, drop column location, drop column source, drop column reservation,
    drop column resolved_at, drop column resolution, drop column resolved_by, drop column reason;
