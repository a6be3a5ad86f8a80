-- What the checks read from PostgreSQL. A name and one line of purpose each.

-- name: heads
-- Journaled and published up to where, by partition.
select partition, seq, published from watermarks order by partition

-- name: settled
-- Up to which message the stock stream $1 is settled in every partition, as the journal knows it.
select coalesce(min(position), 0) from stream_positions where stream = $1

-- name: gaps
-- Entries behind a missing one. An entry that opens an epoch may stand further on (R2).
select partition, seq from (
    select partition, seq, kind, lag(seq, 1, 0::bigint) over (partition by partition order by seq) as before from entries
) as numbered
where seq <> before + 1 and not (kind = 'ledger-opened' and seq > before)
order by partition, seq

-- name: extent
-- First and last seq and number of entries, by partition.
select partition, min(seq) as first, max(seq) as last, count(*) as entries from entries group by partition

-- name: open_holds
-- Reservations of customers like $1 that still hold units.
select count(*) from reservations where customer like $1 and state = 'held'

-- name: reservations
-- Every reservation of customers like $1 as it was journaled last.
select id, state, body::text as body from reservations where customer like $1

-- name: kinds
-- How often each kind of entry stands in the history of the reservations $1.
select kind, count(*) as entries from entries where subject = any($1::text[]) group by kind

-- name: numbers
-- The number of every position of the skus $1, by its source.
select sku, location, source, number from levels where sku = any($1::text[])

-- name: reservation_entries
-- Entries that must have had an event each, behind seq $2 of partition $1.
select seq, kind from entries
where partition = $1 and seq > $2 and kind = any(array['held', 'committed', 'released', 'expired'])
