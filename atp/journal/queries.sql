-- Named queries of journal.py. A name and one line of purpose each; $1 is the partition unless said otherwise.

-- name: claim_namespace
-- First come, first served: an empty database becomes the journal of the namespace $1.
insert into deployment (namespace) values ($1) on conflict do nothing

-- name: namespace
-- Whose journal this database is.
select namespace from deployment

-- name: ensure_days
-- Make the daily partitions from today on, $1 days.
select ensure_entry_days((now() at time zone 'UTC')::date, $1)

-- name: claim
-- Make $2 the only writer of the partition: everybody who claimed it before finds no row from now on.
insert into watermarks (partition, owner) values ($1, $2)
on conflict (partition) do update
    set fence = watermarks.fence + 1, owner = excluded.owner, claimed_at = now()
returning fence, epoch, seq, published, announced

-- name: own_pid
-- Who this connection is at the server.
select pg_backend_pid()

-- name: cut_off
-- End the connections that the one of $1 waits for.
select pg_terminate_backend(blocker) from unnest(pg_blocking_pids($1)) as blocker

-- name: watermark
-- Where the partition stands.
select fence, epoch, seq, published, announced from watermarks where partition = $1

-- name: heads
-- Highest journaled seq of every partition.
select partition, seq from watermarks

-- name: advance
-- Move the watermark from $3 to $4 under fence $2. No row: fenced, or not where the caller believes.
update watermarks set seq = $4, epoch = greatest(epoch, $5)
where partition = $1 and fence = $2 and seq = $3
returning seq

-- name: move_published
-- Move the publisher's cursors under fence $2; never back.
update watermarks set published = greatest(published, $3), announced = greatest(announced, $4)
where partition = $1 and fence = $2
returning published

-- name: save_reservations
-- The newest state of each reservation in the batch. Times are ms: a datetime costs its sender ten times as much.
insert into reservations (
    partition, id, first_seq, updated_seq, state, client, channel, customer, order_ref, created_at, expires_at, skus, body
)
select $1, b.id, b.first_seq, b.updated_seq, b.state, b.client, b.channel, b.customer, b.order_ref,
    to_timestamp(b.created_at / 1000.0::float8), to_timestamp(b.expires_at / 1000.0::float8),
    string_to_array(b.skus, chr(31)), b.body
from unnest(
    $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::bigint[], $11::bigint[], $12::text[], $13::json[]
) as b (id, first_seq, updated_seq, state, client, channel, customer, order_ref, created_at, expires_at, skus, body)
on conflict (id, first_seq) do update set
    partition = excluded.partition, updated_seq = excluded.updated_seq, state = excluded.state,
    order_ref = excluded.order_ref, expires_at = excluded.expires_at, body = excluded.body
where reservations.updated_seq < excluded.updated_seq

-- name: note_late_duplicates
-- Of the reservations that began in this batch, those whose id was used before (R18). Each is looked up by itself: as a
-- join, a plan made while the table was small, or before it was analyzed, reads all of it for every batch.
insert into exceptions (kind, partition, detail)
select 'late-duplicate', $1, jsonb_build_object('reservation', b.id, 'first_seq', b.first_seq, 'earlier', e.earlier)
from unnest($2::text[], $3::bigint[]) as b (id, first_seq)
cross join lateral (
    select array_agg(r.first_seq order by r.first_seq) as earlier
    from reservations r where r.id = b.id and r.first_seq < b.first_seq
) as e
where e.earlier is not null

-- name: raise_exceptions
-- What entries of the batch tell people; an older open one on the same subject is superseded.
with news as (
    insert into exceptions (partition, seq, at, kind, sku, location, source, reservation, detail)
    select $1, b.* from unnest(
        $2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::jsonb[]
    ) as b (seq, at, kind, sku, location, source, reservation, detail)
    returning seq, at, kind, sku, location, source, reservation
)
update exceptions e set resolved_at = n.at, resolution = 'superseded'
from news n
where e.partition = $1 and e.seq < n.seq and e.resolved_at is null
    and (e.kind, e.sku, e.location, e.source, e.reservation) = (n.kind, n.sku, n.location, n.source, n.reservation)

-- name: resolve_exceptions
-- Those that entries of the batch end, by the seq that raised them. What a person said stays, if it is over later.
update exceptions e set resolved_at = b.at, resolution = b.resolution, resolved_by = b.client, reason = b.reason
from (
    select distinct on (seq) *
    from unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[])
        as b (seq, at, resolution, client, reason)
    order by seq, client = ''
) b
where e.partition = $1 and e.seq = b.seq and coalesce(e.resolved_by, '') = ''

-- name: exceptions
-- Of the kind $1 ('' for all), open ones or not ($2, null for both), with an id below $3 (0 for any), newest first.
select id, kind, partition, seq, (extract(epoch from at) * 1000)::bigint as at, sku, location, source, reservation,
    detail::text as detail, (extract(epoch from resolved_at) * 1000)::bigint as resolved_at, resolution, resolved_by,
    reason
from exceptions
where ($1 = '' or kind = $1) and ($2::boolean is null or (resolved_at is null) = $2) and ($3::bigint = 0 or id < $3)
order by id desc
limit $4

-- name: exception
-- One exception by its id $1.
select id, kind, partition, seq, (extract(epoch from at) * 1000)::bigint as at, sku, location, source, reservation,
    detail::text as detail, (extract(epoch from resolved_at) * 1000)::bigint as resolved_at, resolution, resolved_by,
    reason
from exceptions
where id = $1

-- name: close_exception
-- End what no entry of the ledger raised, or what was over before the ledger heard of a person's word.
update exceptions set resolved_at = coalesce(resolved_at, now()), resolution = $2, resolved_by = $3, reason = $4
where id = $1 and coalesce(resolved_by, '') = ''

-- name: save_levels
-- What the sources last said. A delta brings no level of its own and leaves the one that is there.
insert into levels (
    partition, sku, location, source, seq, quantity, number, generation, version_high, version_low, as_of
)
select $1, b.*
from unnest(
    $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::timestamptz[]
) as b (sku, location, source, seq, quantity, number, generation, version_high, version_low, as_of)
on conflict (sku, location, source) do update set
    partition = excluded.partition, seq = excluded.seq, number = excluded.number,
    quantity = coalesce(excluded.quantity, levels.quantity),
    generation = coalesce(excluded.generation, levels.generation),
    version_high = coalesce(excluded.version_high, levels.version_high),
    version_low = coalesce(excluded.version_low, levels.version_low),
    as_of = coalesce(excluded.as_of, levels.as_of)

-- name: save_policies
-- Policy objects as they are now; the copies of other partitions carry the same version (R31). $1 to $4 are columns.
insert into policies (kind, id, version, body)
select b.* from unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) as b
on conflict (kind, id) do update set version = excluded.version, body = excluded.body
where policies.version < excluded.version

-- name: forget_customer
-- Take the customer $1 from reservations that have ended, unless they count to a campaign that is still open; then how
-- many there were, and how many still name the customer. Slot 8 of the record is the customer, slot 10 the campaign.
with gone as (
    update reservations r set customer = '', body = jsonb_set(r.body::jsonb, '{8}', '""')::json
    where r.customer = $1 and r.state in ('fulfilled', 'released', 'expired')
        and not exists (
            select 1 from policies p
            where p.kind = 'campaign' and p.id = r.body ->> 10
                and (p.body::jsonb ->> 'closes')::bigint > extract(epoch from now()) * 1000
        )
    returning 1
)
select (select count(*) from gone) as forgotten,
    (select count(*) from reservations where customer = $1) - (select count(*) from gone) as kept

-- name: policies_after
-- Policy objects of the kind $1 with an id above $2, by id, $3 at most.
select id, version, body from policies where kind = $1 and id > $2 order by id limit $3

-- name: save_stream_positions
-- Positions only grow.
insert into stream_positions (partition, stream, position)
select $1, b.* from unnest($2::text[], $3::bigint[]) as b
on conflict (stream, partition) do update set position = greatest(stream_positions.position, excluded.position)

-- name: stream_positions
-- All of them.
select stream, partition, position from stream_positions

-- name: reservation
-- The newest reservation under the id $1.
select body from reservations where id = $1 order by first_seq desc limit 1

-- name: promised
-- Open reservations with units of the sku $2 at the location $3, made before the seq $4, in the order $6 (1 oldest
-- first, -1 newest first) behind the cursor $5 (a first seq times $6); at most $7. Put in order before their bodies are
-- looked into ("offset 0" keeps it so), which costs most: those behind the last one that is wanted are left alone.
select s.id, s.first_seq
from (
    select id, first_seq, first_seq * $6::bigint as place from reservations
    where partition = $1 and skus @> array[$2::text] and state in ('held', 'committed', 'acknowledged')
        and first_seq < $4 and first_seq * $6::bigint > $5::bigint
    order by place offset 0
) s
where (
    select jsonb_path_exists(
        r.body::jsonb, 'strict $[12][*] ? (@[1] == $sku)[3][*] ? (@[0] == $at && (@[2] > 0 || @[3] > 0))',
        jsonb_build_object('sku', $2::text, 'at', $3::text)
    )
    from reservations r where r.id = s.id and r.first_seq = s.first_seq
)
order by s.place
limit $7

-- name: booked
-- Reservations with units committed for the sku $2 at the location $3, all of them up to the seq $4, that the source $5
-- does not count already; behind the first seq $6, at most $7. In order first, as promised.
select s.id, s.first_seq
from (
    select id, first_seq from reservations
    where partition = $1 and skus @> array[$2::text] and state in ('held', 'committed', 'acknowledged')
        and first_seq <= $4 and first_seq > $6
    order by first_seq offset 0
) s
where (
    select jsonb_path_exists(
        r.body::jsonb,
        'strict $[12][*] ? (@[1] == $sku)[3][*] ? (@[0] == $at && @[3] > 0 && (@[3] > @[4]
            || !exists(@[13][*] ? (@[0] == $source && (@[1].size() > 0 || @[2].size() > 0)))))',
        jsonb_build_object('sku', $2::text, 'at', $3::text, 'source', $5::text)
    )
    from reservations r where r.id = s.id and r.first_seq = s.first_seq
)
and (
    select max(e.seq) from entries e where e.subject = s.id and e.partition = $1 and e.kind = 'committed'
) <= $4
order by s.first_seq
limit $7

-- name: history
-- The entries about the subject $1, oldest first, at most $2, and between them where the journal lost some (R20).
select body from entries e
where subject = $1 or (
    subject = 'entries-missing' and (partition, seq) > (
        select partition, seq from entries where subject = $1 and partition = e.partition order by seq limit 1
    )
)
order by seq limit $2

-- name: entries_after
-- Entries after $2 in order, at most $3.
select body from entries where partition = $1 and seq > $2 order by seq limit $3

-- name: positions_at
-- Of each location of sku $1 in partition $2: its last change up to $3, and the next one with the watermark before it.
with recursive places as (
    (select location from position_changes where sku = $1 order by location limit 1)
    union all
    select (select c.location from position_changes c where c.sku = $1 and c.location > p.location order by 1 limit 1)
    from places p where p.location is not null
)
select p.location, last.seq, next.after
from places p
left join lateral (
    select c.seq from position_changes c
    where c.sku = $1 and c.location = p.location and c.partition = $2 and c.seq <= $3 order by c.seq desc limit 1
) last on true
left join lateral (
    select c.after from position_changes c
    where c.sku = $1 and c.location = p.location and c.partition = $2 and c.seq > $3 order by c.seq limit 1
) next on true
where p.location is not null and (last.seq is not null or next.after < $3)

-- name: entries_at
-- The entries with the seqs $2.
select body from entries where partition = $1 and seq = any($2::bigint[])

-- name: entries_between
-- The entries after $2 up to $3.
select body from entries where partition = $1 and seq > $2 and seq <= $3 order by seq

-- name: stock_told
-- What sources told of sku $2 up to $3, newest first, at most $4.
select body from entries
where subject = $2 and partition = $1 and seq <= $3
  and kind in ('level-set', 'delta-applied', 'supply-received', 'return-taken', 'adjusted', 'status-set')
order by seq desc limit $4

-- name: last_of
-- The last entry of kind $3 about $2 up to $4.
select body from entries
where subject = $2 and partition = $1 and kind = $3 and seq <= $4 order by seq desc limit 1

-- name: span
-- The first journaled entry that has not gone with its day, the watermark, and where the journal begins since days go.
select (select min(e.seq) from entries e where e.partition = $1 and e.seq >= coalesce(w.begins, 0)), w.seq,
    coalesce(w.begins, 0)
from (select) only_one left join watermarks w on w.partition = $1

-- name: has_entry
-- Whether the entry $2 is there.
select exists (select from entries where partition = $1 and seq = $2)

-- name: missing_before
-- The newest place up to $2 where the journal lost entries (R20).
select body from entries
where subject = 'entries-missing' and partition = $1 and seq <= $2 order by seq desc limit 1

-- name: missing_after
-- The first such place behind $2.
select body from entries
where subject = 'entries-missing' and partition = $1 and seq > $2 order by seq limit 1

-- name: raise_found
-- The journal itself finds that entries of the partition are missing; told once while it is open.
insert into exceptions (kind, partition, detail)
select $2, $1, $3
where not exists (select from exceptions where kind = $2 and partition = $1 and seq is null and resolved_at is null)

-- name: newest_baseline
-- The newest complete one.
select seq, epoch, (extract(epoch from at) * 1000)::bigint, live, (extract(epoch from made_at) * 1000)::bigint
from baselines where partition = $1 and complete order by seq desc limit 1

-- name: drop_unfinished_baselines
-- Those that somebody left behind, and one at the same seq $2 that is to be made again.
delete from baselines where partition = $1 and (not complete or seq = $2)

-- name: begin_baseline
-- Of the seq $2, the epoch $3 and the ledger's time $4 in ms.
insert into baselines (partition, seq, epoch, at, live) values ($1, $2, $3, to_timestamp($4::float8 / 1000), $5)

-- name: save_baseline_page
-- Page $3 of the baseline at $2.
insert into baseline_pages (partition, seq, page, body) values ($1, $2, $3, $4)

-- name: finish_baseline
-- The one at $2 counts from now on.
update baselines set complete = true where partition = $1 and seq = $2

-- name: drop_old_baselines
-- All but the newest $2.
delete from baselines where partition = $1 and complete and seq not in (
    select seq from baselines where partition = $1 and complete order by seq desc limit $2
)

-- name: baseline_page
-- Page $3 of the baseline at $2.
select body from baseline_pages where partition = $1 and seq = $2 and page = $3
