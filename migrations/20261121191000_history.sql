-- migrate:up

create index entries_of_client on entries (client, at);

create index reservations_by_time on reservations (created_at, id, first_seq);

-- migrate:down

drop index reservations_by_time, entries_of_client;
