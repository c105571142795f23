"""What a comparison says, in words, and what it cannot say."""

from __future__ import annotations

from collections.abc import Mapping

from evidence.overlay_compare import SURE, Finding, Verdict
from evidence.overlay_csv import Kind

CANNOT_TELL = (
    (
        "An event is what another system states: a plate that was read is not who drove, a phone that was "
        "served is not who held it, a photo's place and time can be set. Nothing of that is examined here."
    ),
    (
        "A sector is not a place. It says which mast served, not where in its area the phone was; phones are "
        "at times served from outside of it. Many people are within a sector at any time."
    ),
    (
        "That somebody's device recorded positions there supposes that the person carried it, and that its "
        "accuracies and its clock are right: look at its anomalies for that time."
    ),
    (
        "'Says nothing' is no suspicion. Where there are no positions, or they leave it open, nothing follows."
    ),
)

_AREAS: Mapping[Kind, str] = {
    "anpr": "the area of the camera",
    "cell": "the sector",
    "photo": "the area of the photo",
}


def says(one: Finding, person: str) -> str:
    """A verdict as a sentence or two."""
    return _SAYS[one.verdict](one, person)


def _supports(one: Finding, person: str) -> str:
    assert one.probability is not None
    text = (
        f"Supports: {person} was within {_AREAS[one.kind]} ({_size(one.area_m2)}) with a probability of "
        f"{_chance(one.probability)}{_some(one)}."
    )
    return f"{text} A sector is not a place." if one.kind == "cell" else text


def _contradicts(one: Finding, person: str) -> str:
    area = _AREAS[one.kind]
    if one.cannot_be:
        text = f"Contradicts: {person} cannot have been within {area}, but at least {one.outside_m:.0f} m outside"
    else:
        assert one.probability is not None
        text = f"Contradicts: {person} was within {area} with a probability of {_chance(one.probability)} only"
    text += f"{_some(one)}."
    return f"{text} But a mast can serve beyond its stated sector." if one.kind == "cell" else text


def _nothing(one: Finding, person: str) -> str:
    if one.before is None and one.after is None:
        return f"Says nothing: no positions of {person} are recorded around that time."
    if one.probability is None:
        gap = [
            f"{abs(fix.seconds):.0f} s {word}"
            for fix, word in ((one.before, "before"), (one.after, "after"))
            if fix is not None
        ]
        return f"Says nothing: the nearest positions of {person} are {' and '.join(gap)}."
    within = f"that {person} was within {_AREAS[one.kind]} is {_chance(one.probability)}"
    if one.known_share < 1:
        return (
            f"Says nothing: the probability {within} in the {one.known_share:.0%} of the clock's time that is "
            "known, and for the rest nothing is."
        )
    return f"Says nothing: the probability {within}, neither {_chance(1 - SURE)} or less nor {_chance(SURE)} or more."


_SAYS = {"supports": _supports, "contradicts": _contradicts, "says nothing": _nothing}


def _some(one: Finding) -> str:
    """What the clock's error makes of a statement."""
    if one.event.clock_error_s == 0:
        return ""
    error = f"{one.event.clock_error_s:g} s that its clock may be off"
    verdict: Verdict = one.verdict
    return (
        f" at some instant within the {error}"
        if verdict == "supports"
        else f" at any instant within the {error}"
    )


def _size(area_m2: float) -> str:
    return f"{area_m2 / 1e6:.3g} km\u00b2" if area_m2 >= 1e5 else f"{area_m2:.0f} m\u00b2"


def _chance(probability: float) -> str:
    if probability > 0.999:
        return "more than 0.999"
    return "less than 0.001" if probability < 0.001 else f"{probability:.3f}"
