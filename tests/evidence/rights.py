"""Which role may do what to which table and function: decided here, for everything there is.

A table or function that a later migration adds is in none of these lists, and `test_rights` fails
until somebody has decided about it.
"""

from __future__ import annotations

ROLES = (
    "cordon_owner",
    "cordon_writer",
    "cordon_sealer",
    "cordon_operator",
    "cordon_investigator",
    "cordon_prosecutor",
    "cordon_agency",
    "cordon_auditor",
)
READERS = frozenset(ROLES[3:])
NOBODY: frozenset[str] = frozenset()

Rights = dict[str, frozenset[str]]
"""Privileges by role; a role that is not named has none."""

APPENDED: Rights = {
    "cordon_writer": frozenset({"SELECT", "INSERT"}),
    "cordon_sealer": frozenset({"SELECT"}),
}
CONTROL: Rights = {"cordon_sealer": frozenset({"SELECT"})}
LOG: Rights = {"cordon_sealer": frozenset({"SELECT", "INSERT"})}
MOVED_LOG: Rights = {"cordon_sealer": frozenset({"SELECT", "INSERT", "UPDATE"})}
LOOKED_UP: Rights = {
    "cordon_writer": frozenset({"SELECT"}),
    "cordon_sealer": frozenset({"SELECT"}),
}
CASELOAD: Rights = {"cordon_writer": frozenset({"SELECT", "INSERT", "UPDATE"})}
CONDITIONS: Rights = {"cordon_writer": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})}

TABLES: dict[str, Rights] = {
    **{
        f"evidence.{name}": APPENDED
        for name in (
            *("batch", "message", "fix", "event", "receipt", "status", "refusal", "decision"),
            *("anomaly", "device_health", "sequence_step", "command", "alert_change", "delivery"),
            *("damaged_entry", "gap", "access", "choice", "digest", "disclosure"),
            *("course", "batch_rest"),
        )
    },
    **{
        f"evidence.{name}": CONTROL
        for name in (
            *("access_grant", "access_revocation", "break_glass", "break_glass_review"),
            *("hold", "hold_person", "hold_device", "hold_release", "erasure", "caseload_entry"),
            *("pack_request", "pack_decision", "pack_use"),
        )
    },
    **{
        f"evidence.seal_{name}": LOG
        for name in (
            *("batch", "node", "chain_start", "checkpoint", "cosignature", "stamp", "key"),
            "recovery",
        )
    },
    "evidence.conduct_act": {"cordon_writer": frozenset({"SELECT", "INSERT", "DELETE"})},
    "evidence.conduct_pattern": {"cordon_writer": frozenset({"SELECT", "INSERT"})},
    "evidence.worker_state": {"cordon_writer": frozenset({"SELECT", "INSERT"})},
    "evidence.overlay": {"cordon_writer": frozenset({"SELECT", "INSERT"})},
    "evidence.caseload_kept": {},
    "evidence.seal_erased": CONTROL,
    "evidence.seal_erased_chain": CONTROL,
    "evidence.seal_kept_salt": CONTROL,
    "evidence.seal_log": MOVED_LOG,
    "evidence.seal_chain": MOVED_LOG,
    "evidence.timeline": LOOKED_UP,
    "evidence.migration": LOOKED_UP,
    "evidence.position": {"cordon_writer": frozenset({"SELECT", "INSERT", "UPDATE"})},
    "evidence.sequence_gap": {"cordon_writer": frozenset({"SELECT"})},
    "evidence.break_glass_waiting": {
        role: frozenset({"SELECT"}) for role in ("cordon_owner", "cordon_writer", "cordon_auditor")
    },
    "evidence.hold_in_force": {
        role: frozenset({"SELECT"}) for role in ("cordon_owner", "cordon_writer", "cordon_auditor")
    },
    "evidence.fix_day": {"cordon_writer": frozenset({"SELECT"})},
    "evidence.alert_day": {"cordon_writer": frozenset({"SELECT"})},
}

EVERYBODY = frozenset(ROLES)
WRITER = frozenset({"cordon_writer"})
OWNER = frozenset({"cordon_owner"})
ASKING = frozenset({"cordon_operator", "cordon_investigator", "cordon_prosecutor"})

FUNCTIONS: dict[str, frozenset[str]] = {
    "us": EVERYBODY,
    "is_in": EVERYBODY,
    "speaker": EVERYBODY,
    "kinds_of": EVERYBODY,
    "bearer_at": WRITER,
    "fixes_of": WRITER,
    "events_of": WRITER,
    "make_piece": WRITER,
    "choices_at": WRITER,
    "keep_caseload": frozenset({"cordon_sealer"}),
    "summarize": frozenset({"cordon_sealer"}),
    "open_access": READERS | WRITER,
    "read_records": READERS,
    "break_glass": frozenset({"cordon_operator", "cordon_investigator"}),
    "list_grants": READERS | OWNER,
    "people_of_case": OWNER | WRITER,
    "people_ever_of_case": WRITER,
    "grant_access": OWNER,
    "revoke_access": OWNER,
    "review_break_glass": OWNER,
    "capacity": frozenset({"cordon_writer", "cordon_owner"}),
    "place_hold": OWNER,
    "release_hold": OWNER,
    "request_pack": ASKING | OWNER,
    "decide_pack": OWNER,
    "list_pack_requests": ASKING | OWNER | {"cordon_auditor"},
    **dict.fromkeys(
        (
            *("cut_by_time", "cover", "role_names", "authority_for", "used_ticket", "set_rights"),
            *("caseload_parts", "keep_devices", "readings", "set_rights_before_readings"),
            *("same_person", "use_pack_request", "set_rights_before_packs"),
            "are_intervals",
            *("pieces_before", "drop_piece", "piece_sizes"),
        ),
        NOBODY,
    ),
}
