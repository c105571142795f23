"""Policy from files: the jurisdiction profiles and the contacts that the settings name.

The files are looked at every few seconds. A change that can be used is in force at once; one that
cannot is said, and yesterday's policy stays: half a policy is worse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from alerts.contacts import Contact, ContactLane, Contacts, parse_contacts
from alerts.errors import ContactsError, ProfileError
from alerts.profile import Profiles, load_profiles
from cordon.errors import CordonError
from cordon.sections import Alerts

log = structlog.get_logger("policy")

POLL_S = 2.0

_Seen = dict[str, tuple[int, int]]


@dataclass(slots=True)
class PolicyCounts:
    """What became of changed files.

    Attributes:
        refused: Changes that could not be used; the policy before stayed in force.
        refusing: The files as they are now cannot be used.
    """

    taken: int = 0
    refused: int = 0
    refusing: bool = False


class Policy:
    """Profiles and contacts in force, kept up with their files.

    Args:
        settings: Where the files are.
        channels: By which contacts can be reached here.

    Raises:
        CordonError: A file cannot be read or used; nothing may begin with half a policy.
    """

    def __init__(self, settings: Alerts, channels: tuple[ContactLane, ...] = ()) -> None:
        self.counts = PolicyCounts()
        self._settings = settings
        self._seen = self._look()
        try:
            self.profiles = _read_profiles(settings)
            self.contacts = Contacts(_read_contacts(settings), channels)
        except (ProfileError, ContactsError) as error:
            raise CordonError(str(error)) from error
        except OSError as error:
            raise CordonError(
                f"A file of alerts.profiles or alerts.contacts cannot be read: {error}"
            ) from error

    def refresh(self) -> bool:
        """Take over what has changed in the files. True when something is new in force."""
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            profiles = _read_profiles(self._settings)
            contacts = _read_contacts(self._settings)
        except (ProfileError, ContactsError, OSError) as error:
            self.counts.refused += 1
            self.counts.refusing = True
            log.error("policy_refused", reason=str(error))  # noqa: TRY400 - the text says it all
            return False
        self.profiles.replace(profiles)
        self.contacts.replace(Contacts(contacts))
        self.counts.taken += 1
        self.counts.refusing = False
        log.info("policy_in_force", profiles=sorted(p.version for p in profiles.by_name.values()))
        return True

    async def run(self, on_change: Callable[[], None]) -> None:
        """Look for changes until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            if await asyncio.to_thread(self.refresh):
                on_change()

    def _look(self) -> _Seen:
        folder, file = self._settings.profiles, self._settings.contacts
        paths = sorted(Path(folder).glob("*.toml")) if folder else []
        paths += [Path(file)] if file else []
        found: _Seen = {}
        for path in paths:
            try:
                stat = path.stat()
            except OSError:
                found[str(path)] = (0, -1)
            else:
                found[str(path)] = (stat.st_mtime_ns, stat.st_size)
        return found


def _read_profiles(settings: Alerts) -> Profiles:
    return load_profiles(Path(settings.profiles) if settings.profiles else None)


def _read_contacts(settings: Alerts) -> tuple[Contact, ...]:
    file = settings.contacts
    return parse_contacts(Path(file).read_bytes(), file) if file else ()
