-- With what devices sign their reports. Revoked, never deleted. As for credentials there is no
-- foreign key to caseload.device: a device can have its key before the caseload knows it.

create table caseload.signing_key (
    row_no bigint generated always as identity primary key,
    device text not null check (device ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$' and device !~ '\n'),
    algorithm text not null check (algorithm in ('hmac', 'ed25519', 'none')),
    number smallint not null default 0 check (number between 0 and 255), -- messages name it so
    key bytea not null default '', -- HMAC secret, or Ed25519 public key; of 'none' nothing
    issued_at timestamptz not null,
    issued_by text not null,
    revoked_at timestamptz,
    revoked_by text not null default '',
    revoked_reason text not null default '',
    check (length(key) = case algorithm when 'none' then 0 else 32 end),
    check ((revoked_at is null) = (revoked_by = '' and revoked_reason = ''))
);

-- 'none' says that the device need not sign any more; it has no number of its own.
create unique index signing_key_in_force on caseload.signing_key (device, number)
    where revoked_at is null and algorithm <> 'none';

create trigger signing_key_changed after insert or update or delete or truncate on caseload.signing_key
    for each statement execute function caseload.credential_changed();
