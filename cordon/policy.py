"""Policy from files: the jurisdiction profiles and the contacts that the settings name."""

from __future__ import annotations

from pathlib import Path

from alerts.contacts import Contact, Contacts, parse_contacts
from alerts.errors import ContactsError, ProfileError
from alerts.profile import Profiles, load_profiles
from cordon.errors import CordonError
from cordon.settings import Alerts


def load_policy(settings: Alerts) -> tuple[Profiles, Contacts]:
    """Profiles and contacts as the files have them.

    Raises:
        CordonError: One of the files cannot be read or used; nothing may begin with half a policy.
    """
    try:
        profiles = load_profiles(Path(settings.profiles) if settings.profiles else None)
        contacts = read_contacts(settings.contacts)
    except (ProfileError, ContactsError) as error:
        raise CordonError(str(error)) from error
    except OSError as error:
        raise CordonError(
            f"A file of alerts.profiles or alerts.contacts cannot be read: {error}"
        ) from error
    return profiles, Contacts(contacts)


def read_contacts(file: str) -> tuple[Contact, ...]:
    """The contacts in a file; none where no file is named.

    Raises:
        ContactsError: It cannot be used.
        OSError: It cannot be read.
    """
    return parse_contacts(Path(file).read_bytes(), file) if file else ()
