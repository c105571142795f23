"""The sealer as the settings want it."""

from __future__ import annotations

from pathlib import Path

import structlog

from cordon import __version__
from cordon.errors import CordonError
from cordon.settings import Settings
from devices.instants import Clock
from evidence.keys import Guard, KeyFileError, load_seeds
from evidence.log.notes import NoteFormatError
from evidence.log.signing import VerifierKey
from evidence.sealer import Sealer, SealerFigures
from evidence.timestamps import Authority, Stamper, read_roots
from evidence.witness_client import Witness

log = structlog.get_logger("seal")

BUILD = f"cordon {__version__}"


def sealer_in_service(
    settings: Settings, dsn: str, clock: Clock, *, backroom: bool
) -> SealerFigures | None:
    """The sealer that runs in the service; None where it runs apart.

    Of one that runs in the back room only the figures: its seeds need not lie in two processes. That
    it can be made is seen all the same.

    Raises:
        CordonError: As `sealer_of`.
    """
    if settings.evidence.sealer != "service":
        return None
    if not settings.evidence.witnesses:
        log.info(
            "no_witnesses",
            meaning="the log proves what this installation signed, not that nobody rewrote it",
            what_to_do="name some in evidence.witnesses; docs/evidence.md says how",
        )
    sealer = sealer_of(settings, dsn, clock)
    return SealerFigures(clock, sealer.quorum) if backroom else sealer


def sealer_of(settings: Settings, dsn: str, clock: Clock) -> Sealer:
    """The sealer.

    Raises:
        CordonError: Keys or witnesses cannot be used.
    """
    chosen = settings.evidence
    witnesses = witnesses_of(settings)
    if witnesses and chosen.quorum > len(witnesses):
        raise CordonError(
            f"evidence.quorum asks for {chosen.quorum} witnesses, evidence.witnesses names "
            f"{len(witnesses)}. No head would ever count: name more, or ask for fewer."
        )
    return Sealer(
        dsn,
        guard_of(settings),
        witnesses,
        clock,
        origin=chosen.origin,
        quorum=chosen.quorum if witnesses else 0,
        interval_s=chosen.seal_interval_s,
        program=BUILD,
        stamper=_stamper_of(settings),
    )


def _stamper_of(settings: Settings) -> Stamper | None:
    authorities = []
    for named in settings.evidence.timestamp_authorities:
        try:
            authorities.append(Authority(named.url, read_roots(Path(named.roots))))
        except (OSError, ValueError) as error:
            raise CordonError(
                f"evidence.timestamp_authorities: {named.roots} is no PEM file of certificates: "
                f"{error}"
            ) from error
    return Stamper(authorities, settings.evidence.timestamp_interval_s) if authorities else None


def guard_of(settings: Settings) -> Guard:
    """The log's keys, with what they have signed.

    Raises:
        CordonError: The files cannot be used.
    """
    home = Path(settings.state_directory).resolve()
    file = Path(settings.evidence.key_file or home / "evidence" / "log.keys")
    try:
        return Guard(file.with_name(f"{file.name}.signed"), load_seeds(file))
    except KeyFileError as error:
        raise CordonError(str(error)) from error


def witnesses_of(settings: Settings) -> list[Witness]:
    """The witnesses that are named.

    Raises:
        CordonError: A key that is none, or keys of different names for one witness.
    """
    found = []
    for named in settings.evidence.witnesses:
        try:
            keys = tuple(VerifierKey.parse(text) for text in named.keys)
        except NoteFormatError as error:
            raise CordonError(
                f"evidence.witnesses: a key of {named.url} is none: {error}. Copy it whole from "
                "what the witness prints when it starts."
            ) from error
        if len({key.name for key in keys}) > 1:
            raise CordonError(f"evidence.witnesses: the keys of {named.url} have different names.")
        found.append(Witness(named.url, keys))
    if len({witness.name for witness in found}) < len(found):
        raise CordonError("evidence.witnesses: two of them have the same name.")
    return found
