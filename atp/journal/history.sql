-- Named queries of history.py, and of what becomes of old days; as in queries.sql.

-- name: begins
-- Where the journal of the partition begins since days go; 0 if none has gone.
select begins from watermarks where partition = $1

-- name: prune_reservations
-- Of the reservations made before the kept days, behind ($1, $2, $3) and at most $4: those that ended and whose entries
-- have gone go, too. Where the look ended, how many it looked at, and how many went.
with looked as (
    select r.created_at, r.id, r.first_seq from reservations r, retention k
    where r.created_at < ((now() at time zone 'UTC')::date - k.keep_days)::timestamp at time zone 'UTC'
        and (r.created_at, r.id, r.first_seq) > ($1::timestamptz, $2::text, $3::bigint)
    order by r.created_at, r.id, r.first_seq
    limit $4
), gone as (
    delete from reservations r using looked l, watermarks w
    where r.id = l.id and r.first_seq = l.first_seq and r.state in ('released', 'expired', 'fulfilled')
        and w.partition = r.partition and r.updated_seq < w.begins
    returning 1
)
select last.created_at, last.id, last.first_seq, (select count(*) from looked) as looked,
    (select count(*) from gone) as gone
from (select * from looked order by created_at desc, id desc, first_seq desc limit 1) last

-- name: allow_minutes
-- Housekeeping reads a whole day; for the transaction at hand.
set local statement_timeout = '10min'

-- name: retire_day
-- Take the oldest day off, if it may go.
select retire_entry_day()

-- name: prune_changes
-- Forget where entries stood that have gone.
select prune_position_changes()

-- name: keep_days
-- How long entries stay: $1 days (null for ever), and whether older ones are dropped ($2).
update retention set keep_days = $1, drop_old = $2 where (keep_days, drop_old) is distinct from ($1, $2)

-- name: grant_service
-- Give the role $1 what the service needs.
select grant_service($1)

-- name: search_newest
-- Reservations in the state $1 ('' for any) and of the channels $2 (null for all), behind the one made at $3 (null for
-- the newest) with id $4 and first seq $5, newest first, at most $6. The next two begin alike.
select partition, id, first_seq, created_at, body from reservations
where ($1 = '' or state = $1) and ($2::text[] is null or channel = any($2))
    and ($3::timestamptz is null or (created_at, id, first_seq) < ($3, $4, $5))
order by created_at desc, id desc, first_seq desc
limit $6

-- name: search_sku
-- With units of the sku $7.
select partition, id, first_seq, created_at, body from reservations
where ($1 = '' or state = $1) and ($2::text[] is null or channel = any($2))
    and ($3::timestamptz is null or (created_at, id, first_seq) < ($3, $4, $5))
    and skus @> array[$7::text]
order by created_at desc, id desc, first_seq desc
limit $6

-- name: search_order
-- Of the order $8, and with units of the sku $7 ('' for any).
select partition, id, first_seq, created_at, body from reservations
where ($1 = '' or state = $1) and ($2::text[] is null or channel = any($2))
    and ($3::timestamptz is null or (created_at, id, first_seq) < ($3, $4, $5))
    and ($7 = '' or skus @> array[$7::text]) and order_ref = $8 and order_ref <> ''
order by created_at desc, id desc, first_seq desc
limit $6

-- name: entries_about
-- Entries about $2 in the partition $1, of the kinds $3 (null for all), below the seq $4 (0 for the newest), newest
-- first, at most $5; and where the journal lost some (R20).
select partition, at, kind, subject, body from entries
where partition = $1 and ($4::bigint = 0 or seq < $4) and (
    subject = $2 and ($3::text[] is null or kind = any($3))
    or subject = 'entries-missing' and exists (select from entries o where o.subject = $2 and o.partition = $1)
)
order by seq desc
limit $5

-- name: entries_of_client
-- Entries of the client $1, of the kinds $2 (null for all), behind the one at $3 (null for the newest) in partition $4
-- with seq $5, newest first, at most $6.
select partition, at, kind, subject, body from entries
where client = $1 and ($2::text[] is null or kind = any($2))
    and ($3::timestamptz is null or (at, partition, seq) < ($3, $4, $5))
order by at desc, partition desc, seq desc
limit $6

-- name: entries_before
-- For each entry (partition $1, seq $2, subject $3) the last one before it about the same, of the kinds $4 (between
-- commas) and, unless '', of the number of the source $6 at the location $5. Looked for among the $7 before it.
select e.partition, e.seq, p.body
from unnest($1::integer[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
    as e (partition, seq, subject, kinds, location, source)
cross join lateral (
    select b.body
    from (
        select o.seq, o.kind, o.body from entries o
        where o.subject = e.subject and o.partition = e.partition and o.seq < e.seq
        order by o.seq desc limit $7
    ) b
    where b.kind = any(string_to_array(e.kinds, ','))
        and (e.location = '' or (
            b.body ->> 6 = e.location
            -- An adjuster's change says last whose number it moved.
            and coalesce(
                nullif(case when b.kind in ('delta-applied', 'supply-received', 'return-taken') then b.body ->> -1 end, ''),
                b.body ->> 7
            ) = e.source
        ))
    order by b.seq desc limit 1
) p
