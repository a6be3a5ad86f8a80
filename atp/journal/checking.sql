-- Named queries of checking.py, as in queries.sql.

-- name: ended_of_sku
-- Ended reservations of the sku $2 made after the seq $3 and ended up to $4, oldest first, at most $5.
select body from reservations
where partition = $1 and skus @> array[$2::text] and state in ('released', 'expired', 'fulfilled')
    and first_seq > $3 and updated_seq <= $4
order by first_seq
limit $5

-- name: newest_of
-- The newest state of the reservations with the ids $1.
select distinct on (id) id, updated_seq, body from reservations where id = any($1::text[]) order by id, first_seq desc

-- name: live_after
-- Ids of live reservations behind the id $2, in order, at most $3.
select id from reservations
where partition = $1 and id > $2 and state in ('held', 'committed', 'acknowledged')
order by id
limit $3

-- name: changes_at
-- Of each position in the columns $2 and $3: its last change up to $4, and the watermark before the next one's batch.
select c.sku, c.location, last.seq, next.after
from unnest($2::text[], $3::text[]) as c (sku, location)
left join lateral (
    select p.seq from position_changes p
    where p.sku = c.sku and p.location = c.location and p.partition = $1 and p.seq <= $4 order by p.seq desc limit 1
) last on true
left join lateral (
    select p.after from position_changes p
    where p.sku = c.sku and p.location = c.location and p.partition = $1 and p.seq > $4 order by p.seq limit 1
) next on true

-- name: levels_of
-- What the sources last said of the positions in the columns $2 and $3.
select l.sku, l.location, l.source, l.seq, l.number
from unnest($2::text[], $3::text[]) as c (sku, location)
join levels l on l.sku = c.sku and l.location = c.location
where l.partition = $1

-- name: levels_after
-- What sources last said, behind the sku $2, location $3 and source $4, in order, at most $5.
select sku, location, source, seq, number from levels
where (sku, location, source) > ($2, $3, $4) and partition = $1
order by sku, location, source
limit $5

-- name: policies_of
-- Policy objects by the columns $1 and $2.
select p.kind, p.id, p.version, p.body
from unnest($1::text[], $2::text[]) as c (kind, id)
join policies p on p.kind = c.kind and p.id = c.id

-- name: last_missing
-- The newest place where the journal of the partition lost entries.
select max(seq) from entries where subject = 'entries-missing' and partition = $1

-- name: open_exceptions
-- What entries raised and none ended.
select kind, sku, location, source, reservation, seq from exceptions
where partition = $1 and resolved_at is null and seq is not null and kind <> 'shortage'

-- name: request_check
-- A new run, asked for by $1, with repairs or not ($2), at most the share $3 of the ledger's time.
insert into checks (requested_by, repair, share) values ($1, $2, $3) returning id

-- name: claim_check
-- Take the run $3 (0 for the oldest) that nobody is at, unless another one is under way; $2: seconds of silence.
update checks set owner = $1, status = 'running', beat_at = now(), started_at = coalesce(started_at, now())
where id = (
    select c.id from checks c
    where ($3 = 0 or c.id = $3)
        and (c.status = 'waiting' or c.status = 'running' and c.beat_at < now() - make_interval(secs => $2))
    order by c.id limit 1 for update skip locked
) and not exists (
    select from checks o where o.status = 'running' and o.id <> checks.id
        and o.beat_at >= now() - make_interval(secs => $2)
)
returning id, repair, share, looked, found, repaired, state

-- name: save_check
-- How far the run $1 of owner $2 came; no row: somebody else has taken it over.
update checks set beat_at = now(), progress = $3, stage = $4, looked = $5, found = $6, repaired = $7,
    state = coalesce($8, state)
where id = $1 and owner = $2 and status = 'running'
returning id

-- name: beat_check
-- The runner $2 of the run $1 lives; no row: it is not the runner any more.
update checks set beat_at = now() where id = $1 and owner = $2 and status = 'running' returning id

-- name: save_finding
-- A finding of the run $1, or what became of it.
insert into check_findings (check_id, n, body) values ($1, $2, $3)
on conflict (check_id, n) do update set body = excluded.body

-- name: end_check
-- The run $1 of owner $2 is over, $3 (done or failed), with a note $4.
update checks set status = $3, note = $4, finished_at = now(), beat_at = now(), state = null,
    progress = case when $3 = 'done' then 1 else progress end
where id = $1 and owner = $2 and status = 'running'

-- name: checks
-- Runs, newest first, at most $1.
select id, status, requested_at, requested_by, repair, started_at, finished_at, progress, stage, looked, found,
    repaired, note
from checks order by id desc limit $1

-- name: check
-- One run.
select id, status, requested_at, requested_by, repair, started_at, finished_at, progress, stage, looked, found,
    repaired, note
from checks where id = $1

-- name: check_findings
-- What the run $1 found, at most $2.
select body from check_findings where check_id = $1 order by n limit $2
