-- Who may speak for which device. No foreign key to caseload.device: a device can be given its
-- credential before the caseload knows it, and its credentials outlive it there.

create table caseload.credential (
    credential_no bigint generated always as identity primary key,
    device text not null check (device ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$' and device !~ '\n'),
    kind text not null check (kind in ('password', 'certificate')),
    salt bytea not null default '',        -- of a password
    hash bytea not null default '',        -- of a password; never the password
    fingerprint bytea not null default '', -- of a certificate: SHA-256 of its DER form
    valid_from timestamptz not null,
    valid_to timestamptz,
    issued_at timestamptz not null,
    issued_by text not null,
    revoked_at timestamptz,
    revoked_by text not null default '',
    revoked_reason text not null default '',
    check (valid_from < valid_to),
    check ((kind = 'password') = (length(hash) = 32 and length(salt) = 16 and length(fingerprint) = 0)),
    check ((kind = 'certificate') = (length(fingerprint) = 32 and length(hash) = 0)),
    check ((revoked_at is null) = (revoked_by = '' and revoked_reason = ''))
);

create index credential_device on caseload.credential (device);
create unique index credential_fingerprint on caseload.credential (fingerprint)
    where kind = 'certificate';

-- Counts changes, by whatever hand: followers compare one number.
create table caseload.credential_version (version bigint not null);
insert into caseload.credential_version values (0);

create function caseload.credential_changed() returns trigger language plpgsql as $$
begin
    update caseload.credential_version set version = version + 1;
    return null;
end $$;

create trigger credential_changed after insert or update or delete or truncate on caseload.credential
    for each statement execute function caseload.credential_changed();
