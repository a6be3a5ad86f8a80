-- migrate:up

-- Written once and read rarely: taking an array apart into jsonb was a quarter of what PostgreSQL did for an entry, and
-- made it larger than its text. What looks inside casts, or takes it apart when it is read.
alter table entries alter column body type json;
alter table reservations alter column body type json;

-- Many begin in one millisecond: their key is kept once, and the few of a page are put in order when they are read.
drop index reservations_by_time;
create index reservations_by_time on reservations (created_at);

-- migrate:down

drop index reservations_by_time;
create index reservations_by_time on reservations (created_at, id, first_seq);
alter table reservations alter column body type jsonb;
alter table entries alter column body type jsonb;
