-- migrate:up

create table baselines (
    partition integer not null,
    seq bigint not null,
    epoch bigint not null,
    at timestamptz not null,
    live boolean not null,
    complete boolean not null default false,
    made_at timestamptz not null default now(),
    primary key (partition, seq)
);
comment on table baselines is
    'Whole states of a partition: a rebuild begins with the newest complete one and applies the entries behind it (R20).';
comment on column baselines.seq is 'The state is the one after this entry.';
comment on column baselines.live is 'Copied from the ledger itself; others were made of the baseline before and the entries behind it.';

create table baseline_pages (
    partition integer not null,
    seq bigint not null,
    page integer not null,
    body bytea not null,
    primary key (partition, seq, page),
    foreign key (partition, seq) references baselines on delete cascade
);
alter table baseline_pages alter column body set storage external;
comment on table baseline_pages is
    'Records of a baseline as the ledger stores them: msgpack [key, items], compressed, so PostgreSQL need not try.';

-- migrate:down

drop table baseline_pages, baselines;
