-- migrate:up

create index reservations_of_customer on reservations (customer) where customer <> '';
comment on index reservations_of_customer is 'Finds what is to be forgotten of a person.';

-- migrate:down

drop index reservations_of_customer;
