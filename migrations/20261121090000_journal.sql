-- migrate:up

create table deployment (
    only_one boolean primary key default true check (only_one),
    namespace text not null,
    created_at timestamptz not null default now()
);
comment on table deployment is
    'The ledger namespace whose journal this database is. One row: a database serves one deployment, and a process of another one refuses it.';

create table entries (
    partition integer not null,
    seq bigint not null,
    at timestamptz not null,
    kind text not null,
    subject text not null,
    client text not null,
    cause text not null,
    body jsonb not null,
    primary key (partition, seq, at)
) partition by range (at);
comment on table entries is
    'Everything that ever changed the ledger, one gapless seq per partition and epoch. Range-partitioned by the UTC day of "at", so that old days go by dropping a table; "at" is in the key because PostgreSQL wants the partition column there, uniqueness of (partition, seq) is kept by watermarks.seq.';
comment on column entries.subject is 'Reservation id, sku, or what else the entry is about; see journal/rows.py.';
comment on column entries.cause is 'Traceparent or event id that led to the entry, or empty.';
comment on column entries.body is 'The whole entry as atp.domain.entries writes it: a JSON array whose first slot is the tag.';

create index entries_of_subject on entries (subject, seq);

-- A day nobody prepared must not stop the journal: its entries land here.
create table entries_default partition of entries default;
comment on table entries_default is 'Entries of days for which no partition was made in time. Normally empty.';

create function ensure_entry_days(first_day date, days integer) returns integer
    language plpgsql security definer set search_path = public, pg_temp as $$
declare
    day date;
    name text;
    made integer := 0;
begin
    for day in select first_day + n from generate_series(0, days - 1) as n loop
        name := 'entries_' || to_char(day, 'YYYYMMDD');
        continue when to_regclass(name) is not null;
        -- Taken only when there is something to make: creating a partition locks the parent for a moment.
        perform pg_advisory_xact_lock(hashtext('ensure_entry_days'));
        continue when to_regclass(name) is not null;
        -- The default partition may hold the day already; then it stays there, for moving rows is no drainer's work.
        continue when exists (
            select from entries_default
            where at >= day::timestamp at time zone 'UTC' and at < (day + 1)::timestamp at time zone 'UTC'
        );
        execute format(
            'create table %I partition of entries for values from (%L) to (%L)',
            name, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00'
        );
        made := made + 1;
    end loop;
    return made;
end
$$;
comment on function ensure_entry_days(date, integer) is
    'Makes the daily partitions of entries from first_day on, and says how many were missing. Runs with the rights of the owner, so that the drainer needs none on the schema.';

create table watermarks (
    partition integer primary key,
    fence bigint not null default 1,
    owner text not null,
    claimed_at timestamptz not null default now(),
    epoch bigint not null default 0,
    seq bigint not null default 0,
    published bigint not null default 0,
    announced bigint not null default 0
) with (fillfactor = 50);
comment on table watermarks is
    'How far each partition is journaled and published. Every write names the fence it was claimed under; a newer claim raises it, and writes of the older owner find no row.';
comment on column watermarks.seq is 'Highest journaled seq; moves in the transaction that writes the entries.';
comment on column watermarks.published is 'Highest seq whose event NATS has acknowledged.';
comment on column watermarks.announced is 'Every sku changed up to this seq has had an availability event since.';

create table reservations (
    id text not null,
    first_seq bigint not null,
    partition integer not null,
    updated_seq bigint not null,
    state text not null,
    client text not null,
    channel text not null,
    customer text not null,
    order_ref text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    skus text[] not null,
    body jsonb not null,
    primary key (id, first_seq)
) with (fillfactor = 80);
comment on table reservations is
    'The newest state of every reservation, for answers after the ledger forgot it and for search. The same id can occur twice when a key is used again after the idempotency window: then first_seq tells them apart.';

create index reservations_of_order on reservations (order_ref) where order_ref <> '';
create index reservations_of_sku on reservations using gin (skus);

create table levels (
    sku text not null,
    location text not null,
    source text not null,
    partition integer not null,
    seq bigint not null,
    quantity bigint,
    number bigint not null,
    generation bigint,
    version_high bigint,
    version_low bigint,
    as_of timestamptz,
    primary key (sku, location, source)
) with (fillfactor = 80);
comment on table levels is 'What each source last said about each position.';
comment on column levels.quantity is 'The last level as it was sent; null while only deltas came.';
comment on column levels.number is 'The last level and the deltas above it.';
comment on column levels.generation is 'With version_high and version_low: the version of the last level.';

create table policies (
    kind text not null,
    id text not null,
    version bigint not null,
    body text not null,
    primary key (kind, id)
);
comment on table policies is 'Policy objects as they are now; body is the JSON text that was put.';

create table stream_positions (
    stream text not null,
    partition integer not null,
    position bigint not null,
    primary key (stream, partition)
);
comment on table stream_positions is
    'Up to here each incoming stream is settled in each partition: a rebuilt ledger resumes ingestion from here.';

create table exceptions (
    id bigint generated always as identity primary key,
    kind text not null,
    at timestamptz not null default now(),
    partition integer not null,
    detail jsonb not null
);
comment on table exceptions is 'What a person should look at.';

create index exceptions_by_time on exceptions (at);

-- migrate:down

drop table exceptions, stream_positions, policies, levels, reservations, watermarks, entries, deployment;
drop function ensure_entry_days(date, integer);
