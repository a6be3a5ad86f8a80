-- migrate:up

create table retention (
    only_one boolean primary key default true check (only_one),
    keep_days integer check (keep_days >= 1),
    drop_old boolean not null default false
);
comment on table retention is
    'How long entries stay, as the owner said it last (`atp migrate` with ATP_JOURNAL_DAYS and ATP_JOURNAL_OLD). The service reads it and cannot change it.';
comment on column retention.keep_days is 'Whole days before today; null keeps all.';
comment on column retention.drop_old is 'Whether older days are dropped; else they are detached, and stay as tables of their own.';
insert into retention default values;

alter table watermarks add column begins bigint not null default 0;
comment on column watermarks.begins is
    'Entries below this seq have gone with their day, but for those that still say how things are (retire_entry_day).';

-- Both are appended in order of seq, so a summary of each stretch is enough to find the old ones.
create index position_changes_by_seq on position_changes using brin (seq);

create function retire_entry_day() returns text
    language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '500ms' as $$
declare
    rule retention%rowtype;
    child text;
    day date;
    covered boolean;
begin
    select * into rule from retention;
    select c.relname, to_date(right(c.relname, 8), 'YYYYMMDD') into child, day
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'entries'::regclass and c.relname ~ '^entries_[0-9]{8}$'
    order by c.relname limit 1;
    if rule.keep_days is null or child is null or day >= (now() at time zone 'UTC')::date - rule.keep_days then
        return null;
    end if;
    -- A rebuild needs the newest baseline and all entries behind it, and the publisher what it has not sent yet. Days go
    -- in order: one whose entries lie in the default partition keeps those after it.
    if to_regclass('baselines') is null then
        return null;
    end if;
    execute format($q$
        select bool_and(d.seq is null or d.seq <= least(
            w.published, w.announced,
            coalesce((select max(b.seq) from baselines b where b.partition = w.partition and b.complete), 0)
        ))
        from watermarks w, lateral (select max(c.seq) as seq from %I c where c.partition = w.partition) d
    $q$, child) into covered;
    covered := covered and not exists (
        select from entries_default e join watermarks w using (partition)
        where e.at < (day + 1)::timestamp at time zone 'UTC' and e.seq >= w.begins
    );
    if covered is not true then
        return null;
    end if;
    -- What still says how things are stays for explanations and audits; there is little of it. Copied before the lock.
    execute format($q$
        create temp table lasting on commit drop as select * from %I where kind in (
            'policy-put', 'source-seen', 'source-restarted', 'authority-taken', 'authority-moved', 'fallback-taken',
            'ledger-opened'
        )
    $q$, child);
    execute format($q$
        update watermarks w set begins = greatest(w.begins, d.seq + 1)
        from (
            select p.partition, (select max(c.seq) from %I c where c.partition = p.partition) as seq from watermarks p
        ) d
        where d.partition = w.partition and d.seq is not null
    $q$, child);
    -- Not CONCURRENTLY: PostgreSQL refuses that beside a default partition, and inside a function. The lock is waited for
    -- half a second at most, and held for a moment.
    execute format('alter table entries detach partition %I', child);
    insert into entries select * from lasting;
    if rule.drop_old then
        execute format('drop table %I', child);
    else
        execute format('comment on table %I is %L', child, 'Entries of one day, detached by retention.');
    end if;
    return child;
end
$$;
comment on function retire_entry_day() is
    'Takes the oldest day off entries if retention says so and nothing needs it; its name, or null. With the rights of the owner: the service may neither change nor delete an entry.';

create function prune_position_changes() returns bigint
    language sql security definer set search_path = public, pg_temp as $$
    with gone as (
        delete from position_changes c using watermarks w
        where w.partition = c.partition and c.seq < w.begins and exists (
            select from position_changes n
            where n.sku = c.sku and n.location = c.location and n.partition = c.partition
                and n.seq > c.seq and n.seq < w.begins
        )
        returning 1
    )
    select count(*) from gone
$$;
comment on function prune_position_changes() is
    'Deletes what points to entries that have gone, and how many; the last of each position stays and tells that it is older.';

create function grant_service(role name) returns void
    language plpgsql set search_path = public, pg_temp as $$
declare
    relation record;
begin
    execute format('grant usage on schema public to %I', role);
    for relation in
        select c.relname,
            case
                when c.relname in ('entries', 'position_changes', 'deployment') then 'select, insert'
                when c.relname in ('retention', 'schema_migrations') then 'select'
                else 'select, insert, update, delete'
            end as rights
        from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
            and c.relname !~ '^entries_'
    loop
        execute format('revoke all on %I from %I', relation.relname, role);
        execute format('grant %s on %I to %I', relation.rights, relation.relname, role);
    end loop;
    execute format('grant execute on function ensure_entry_days, retire_entry_day, prune_position_changes to %I', role);
end
$$;
comment on function grant_service(name) is
    'Gives a role what the service needs and no more: it appends to the history, and can neither change nor delete it.';

revoke execute on function ensure_entry_days, retire_entry_day, prune_position_changes, grant_service from public;

-- migrate:down

grant execute on function ensure_entry_days to public;
drop function grant_service, prune_position_changes, retire_entry_day;
drop index position_changes_by_seq;
alter table watermarks drop column begins;
drop table retention;
