-- migrate:up

create table checks (
    id bigint generated always as identity primary key,
    status text not null default 'waiting',
    requested_at timestamptz not null default now(),
    requested_by text not null,
    repair boolean not null,
    share real not null,
    owner text not null default '',
    beat_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    progress real not null default 0,
    stage text not null default '',
    looked bigint not null default 0,
    found integer not null default 0,
    repaired integer not null default 0,
    note text not null default '',
    state bytea
);
comment on table checks is 'Runs of the check of the ledger; every one stays.';
comment on column checks.status is 'waiting, running, done or failed.';
comment on column checks.share is 'Of the ledger''s time, at most.';
comment on column checks.beat_at is 'When its runner last said that it lives; another one takes it over after a while.';
comment on column checks.looked is 'Records looked at.';
comment on column checks.note is 'Why it failed, or what could not be compared.';
comment on column checks.state is 'How far it came, for whoever goes on with it; null once it is over.';

create table check_findings (
    check_id bigint not null references checks (id),
    n integer not null,
    body jsonb not null,
    primary key (check_id, n)
);
comment on table check_findings is 'What a run found that differs, with the evidence.';

-- migrate:down

drop table check_findings, checks;
