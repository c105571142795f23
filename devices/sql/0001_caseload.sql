-- The caseload as it stands, and every version of it there was.
-- Ids are the ones people use; the numbers beside them are for references and for the exclusion
-- constraint below, which needs a range type.

create table caseload.agency (
    agency_no bigint generated always as identity primary key,
    id text not null unique,
    name text not null
);

create table caseload.person (
    person_no bigint generated always as identity primary key,
    id text not null unique,
    role text not null check (role in ('wearer', 'protected')),
    name text not null,
    language text not null
);

create table caseload.device (
    device_no bigint generated always as identity primary key,
    id text not null unique,
    kind text not null check (kind in ('tag', 'handset', 'home_unit')),
    model text not null,
    fix_interval_s double precision not null check (fix_interval_s > 0)
);

create table caseload.assignment (
    device_no bigint not null references caseload.device,
    person_no bigint not null references caseload.person,
    valid_from timestamptz not null,
    valid_to timestamptz,
    primary key (device_no, valid_from),
    check (valid_from < valid_to),
    -- One bearer at a time. A range of one number stands for equality, which GiST compares
    -- without an extension. Deferred: ending one period and beginning the next is one change.
    constraint assignment_one_bearer exclude using gist (
        int8range(device_no, device_no, '[]') with &&,
        tstzrange(valid_from, valid_to) with &&
    ) deferrable initially deferred
);

create index assignment_person on caseload.assignment (person_no);

create table caseload.court_order (
    order_no bigint generated always as identity primary key,
    id text not null unique,
    agency_no bigint not null references caseload.agency,
    wearer_no bigint not null references caseload.person,
    valid_from timestamptz not null,
    valid_to timestamptz,
    time_zone text not null,
    profile text not null,
    check (valid_from < valid_to)
);

create index court_order_agency on caseload.court_order (agency_no);
create index court_order_wearer on caseload.court_order (wearer_no);

create table caseload.condition (
    id text primary key,
    order_no bigint not null references caseload.court_order,
    position integer not null,
    type text not null check (type in ('proximity', 'exclusion', 'inclusion')),
    protected_no bigint references caseload.person,
    definition jsonb not null, -- the whole condition as in the caseload file
    unique (order_no, position)
);

create index condition_protected on caseload.condition (protected_no);

create table caseload.caseload_version (
    version bigint primary key,
    sha256 text not null, -- of the document's canonical bytes, in hexadecimal
    loaded_at timestamptz not null default clock_timestamp(),
    document jsonb not null
);
