"""What can go wrong in this room.

    AlertError
    ├── StepRefused              a person's step that cannot be taken
    │   ├── NoSuchAlert          there is no open alert with this id
    │   ├── VersionConflict      it changed since the person looked
    │   └── IllegalStep          its state does not allow the step
    ├── ProfileError             a jurisdiction profile that cannot be used
    ├── ContactsError            a file of contacts that cannot be used
    ├── DeskStateError           a snapshot of the desk that cannot be read
    ├── EntryFormatError         an entry of the alerts stream that cannot be read
    └── NotDeliverable           a delivery that must not or cannot ever be sent

The texts of `StepRefused` are for operators: what happened, what it means, what to do.
"""

from __future__ import annotations


class AlertError(Exception):
    """Base of everything this room raises."""


class StepRefused(AlertError):  # noqa: N818 - a refusal is an answer to a person, not a fault
    """A step that a person asked for and that was not taken. Nothing has changed.

    Attributes:
        alert_id: The alert it was asked for.
    """

    def __init__(self, alert_id: str, text: str) -> None:
        super().__init__(text)
        self.alert_id = alert_id


class NoSuchAlert(StepRefused):
    """There is no open alert with this id: it was closed, or never was."""

    def __init__(self, alert_id: str) -> None:
        super().__init__(
            alert_id,
            "there is no open alert with this id; it has been closed meanwhile, or the id is"
            " mistyped. Look it up in the history",
        )


class VersionConflict(StepRefused):
    """The alert has changed since the person looked at it.

    Attributes:
        seen: The version the person saw.
        version: The version it has now.
        actor: Who made the newest change; `alerts.model.SYSTEM` for the service itself.
        kind: What that change was, as in `alerts.model.ChangeKind`.
    """

    def __init__(self, alert_id: str, *, seen: int, version: int, actor: str, kind: str) -> None:
        super().__init__(
            alert_id,
            f"the alert has changed since you looked (you saw version {seen}, it is now"
            f" {version}): the newest change is '{kind}' by {actor}. Look at it again, then decide",
        )
        self.seen = seen
        self.version = version
        self.actor = actor
        self.kind = kind


class IllegalStep(StepRefused):
    """The state of the alert does not allow the step, or the step lacks something."""


class ProfileError(AlertError):
    """A jurisdiction profile that cannot be used.

    Attributes:
        profile: Its name or file name.
        problems: Each names the field and says what to write instead.
    """

    def __init__(self, profile: str, problems: tuple[str, ...]) -> None:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"the profile {profile} cannot be used; nothing of it was taken:{lines}")
        self.profile = profile
        self.problems = problems


class ContactsError(AlertError):
    """A file of contacts that cannot be used; nothing of it was taken."""


class DeskStateError(AlertError):
    """Bytes that are not a snapshot of a layout this version reads."""


class EntryFormatError(AlertError):
    """Bytes that are no entry of the alerts stream that this version reads."""


class NotDeliverable(AlertError):  # noqa: N818 - a verdict on the delivery, not a fault
    """A delivery that no repetition helps. The text is kept in its record."""
