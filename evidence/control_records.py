"""What the log covers of control over the record itself: who read, who allowed it, what was erased.

Each as `evidence.covered_tables` takes it: table, column that names the chain, column of the time, columns.
"""

from __future__ import annotations

CONTROL_RECORDS: tuple[tuple[str, str, str, str], ...] = (
    (
        "access",
        "subject",
        "at",
        (
            "id at_us at:time who role purpose subject case what from_us to_us ticket:text login allowed note "
            "refused authority:text"
        ),
    ),
    (
        "access_grant",
        "case",
        "granted_at",
        (
            "granted_at:time grant_id:text granted_by kind grantee role case subject purpose "
            "valid_from:time valid_to:time reason"
        ),
    ),
    (
        "access_revocation",
        "",
        "revoked_at",
        "revoked_at:time grant_id:text revoked_by reason",
    ),
    (
        "break_glass",
        "case",
        "opened_at",
        "opened_at:time glass_id:text who case subject reason expires_at:time",
    ),
    (
        "break_glass_review",
        "",
        "reviewed_at",
        "reviewed_at:time glass_id:text reviewer justified note",
    ),
    (
        "hold",
        "case",
        "placed_at",
        (
            "placed_at:time hold_id:text placed_by case from_at:time to_at:time reason "
            "review_at:time"
        ),
    ),
    (
        "hold_person",
        "person",
        "placed_at",
        "placed_at:time hold_id:text person",
    ),
    (
        "hold_device",
        "device",
        "placed_at",
        "placed_at:time hold_id:text device from_at:time to_at:time",
    ),
    (
        "hold_release",
        "",
        "released_at",
        "released_at:time hold_id:text released_by reason",
    ),
    (
        "erasure",
        "subject",
        "erased_at",
        (
            "erased_at:time erasure_id:text kind asked_by approved_by subject from_at:time "
            "to_at:time reason leaves older digest"
        ),
    ),
    (
        "pack_request",
        "case",
        "requested_at",
        (
            "requested_at:time request_id:text requested_by login case side recipient purpose "
            "window_from:time window_to:time withheld charged role grant_case grant_purpose note"
        ),
    ),
    (
        "pack_decision",
        "case",
        "decided_at",
        (
            "decided_at:time request_id:text decided_by login case side recipient purpose "
            "window_from:time window_to:time requested_by requested_at:time approved note"
        ),
    ),
    (
        "pack_use",
        "case",
        "used_at",
        "used_at:time disclosure request_id:text used_by login case",
    ),
)
"""Nothing in these tables is ever changed or deleted: what ends something is a row of its own."""
