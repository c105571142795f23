-- What erasing and retention have to say about the caseload and those it names.

-- Where devices were at these times was erased: whoever keeps a state that knows it lets go of it.
create table caseload.erased_place (
    erasure_id uuid not null,
    device text not null,
    from_at timestamptz not null,
    to_at timestamptz not null,
    primary key (erasure_id, device, from_at),
    check (from_at < to_at)
);

-- Names that were struck out of a version's document; its sha256 stays that of the document as it was.
alter table caseload.caseload_version add column struck_at timestamptz;
