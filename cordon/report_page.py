"""The monthly report as a page to print: each figure with what it should be, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from alerts.load_parts import (
    FLOOD_BEGINS_ABOVE,
    TARGET_FLOOD_SHARE,
    TARGET_PER_WINDOW,
    TARGET_SHARES,
    TARGET_STALE,
    Spread,
)
from alerts.model import FALSE_OUTCOMES
from alerts.month import (
    BY_ITSELF,
    FLOODS_SHOWN,
    STEPS,
    TRUE_OUTCOMES,
    MonthFigures,
)
from cordon.report_charts import INKS, Bar, Column, bars, columns
from devices.instants import from_iso, to_datetime

_STYLE = """
@page { size: A4; margin: 16mm }
body { max-width: 760px; margin: 24px auto; padding: 0 16px; color: #111; background: #fff;
  font: 14px/1.45 system-ui, sans-serif }
h1 { margin: 0; font-size: 24px } h2 { margin: 26px 0 4px; font-size: 17px }
section { break-inside: avoid } svg { display: block; width: 100%; margin: 8px 0; font-size: 12px }
table { width: 100%; border-collapse: collapse; margin: 8px 0 }
th, td { padding: 4px 10px 4px 0; border-bottom: 1px solid #bbb; text-align: left;
  vertical-align: top; overflow-wrap: anywhere }
.bad { font-weight: 700 } .bad::before { content: "! " } .note { color: #444 }
.key i { display: inline-block; width: 12px; height: 12px; margin: 0 4px 0 12px }
* { print-color-adjust: exact; -webkit-print-color-adjust: exact }
"""

_OUTCOMES = {
    "breach": "Breach",
    "breach_averted": "Breach averted",
    "no_breach": "No breach: explained",
    "help_given": "She was helped",
    "device_at_fault": "Device at fault",
    "pressed_by_mistake": "Pressed by mistake",
    "test": "Test",
    "not_determined": "Not determined",
    BY_ITSELF: "Closed without an outcome",
}
_TIER_NAMES = ("tier 1, critical", "tier 2, high", "tier 3, warning", "tier 4, technical")
_EVERY_DAYS = 7
"""Days between two dates on the axis."""


def report_page(found: MonthFigures, title: str, zone: str, made_at: str) -> str:
    """The page.

    Args:
        found: The figures.
        title: Of the month, for example ``November 2026``.
        zone: Time zone of its days.
        made_at: When it was made, as it is to stand there.
    """
    sections = "".join(
        f"<section><h2>{escape(name)}</h2>{''.join(body)}</section>"
        for name, body in (
            ("In short", _short(found)),
            ("Alerts by day", _days(found)),
            ("How many at once", _windows(found)),
            ("Floods", _floods(found)),
            ("How urgent", _tiers(found)),
            ("Where most come from", _sources(found)),
            ("How long people took", _times(found)),
            ("What was delivered", _deliveries(found)),
            ("What they turned out to be", _outcomes(found)),
        )
    )
    people = f"{found.people} people took steps" if found.people != 1 else "one person took steps"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Alerts, {escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>Alerts, {escape(title)}</h1>"
        f'<p class="note">Days and times: {escape(zone)}. Made {escape(made_at)}. Counted for '
        f"{found.operators} operator{'s' if found.operators > 1 else ''} at any time, as given; "
        f"{people}. Alerts of the self-test are in no figure.</p>{sections}</body></html>\n"
    )


def _short(found: MonthFigures) -> Iterator[str]:
    high, middle, low = _shares(found)
    missed = sum(one.missed for one in found.deliveries)
    rows = (
        ("Alerts raised", str(found.raised), "", False),
        (
            "For each operator in ten minutes, on average",
            f"{found.per_operator_10_min:.2f}",
            "fewer than 1 (EEMUA 191)",
            found.per_operator_10_min >= TARGET_PER_WINDOW,
        ),
        (
            "Most in any ten minutes, for each operator",
            f"{found.busiest_10_min:g}",
            f"at most {FLOOD_BEGINS_ABOVE} (ISA-18.2)",
            found.busiest_10_min > FLOOD_BEGINS_ABOVE,
        ),
        (
            "Time in flood",
            f"{found.flood_share:.2%}",
            "under 1 % (ISA-18.2)",
            found.flood_share >= TARGET_FLOOD_SHARE,
        ),
        (
            "High / medium / low priority",
            f"{high:.0%} / {middle:.0%} / {low:.0%}",
            "about 5 / 15 / 80 % (ISA-18.2)",
            found.raised > 0 and high > 2 * TARGET_SHARES[0],
        ),
        (
            "Chattering sources",
            str(len(found.chattering)),
            "none: back 3 times in a minute",
            bool(found.chattering),
        ),
        (
            "Open for more than a day",
            f"{found.stale}; {found.stale_at_end} at the end",
            f"fewer than {TARGET_STALE} at any time",
            found.stale_at_end >= TARGET_STALE,
        ),
        ("Deliveries that did not get there", str(missed), "none", missed > 0),
    )
    body = "".join(
        f"<tr><td>{escape(name)}</td><td{' class=bad' if bad else ''}>{escape(value)}</td>"
        f"<td>{escape(target)}</td></tr>"
        for name, value, target, bad in rows
    )
    yield f"<table><tr><th></th><th>This month</th><th>To compare with</th></tr>{body}</table>"
    if found.left_out:
        yield _note(f"There were too many to follow: {found.left_out} are missing in some figures.")


def _days(found: MonthFigures) -> Iterator[str]:
    yield columns(
        "Alerts raised on each day, by tier",
        [
            Column(day.date[5:] if number % _EVERY_DAYS == 0 else "", day.by_tier)
            for number, day in enumerate(found.days)
        ],
    )
    key = "".join(
        f'<i style="background:{ink}"></i>{name}'
        for ink, name in zip(INKS, _TIER_NAMES, strict=True)
    )
    yield f'<p class="key">{key}</p>'


def _windows(found: MonthFigures) -> Iterator[str]:
    every = sum(found.windows)
    ends = [*(step - 1 for step in STEPS[1:]), None]
    yield bars(
        "Ten-minute periods by the number of alerts for each operator",
        [
            Bar(_class(step, end), count / every, f"{count / every:.1%} ({count})")
            for step, end, count in zip(STEPS, ends, found.windows, strict=True)
        ],
    )
    yield _note("Share of all periods of ten minutes, by alerts raised in them for each operator.")


def _class(step: int, end: int | None) -> str:
    if end is None:
        return f"{step} and more"
    return str(step) if step == end else f"{step} to {end}"


def _floods(found: MonthFigures) -> Iterator[str]:
    yield _note(
        f"A flood begins with more than {FLOOD_BEGINS_ABOVE} alerts in ten minutes for each operator "
        "and ends under 5 (ISA-18.2): nobody can look at each of so many."
    )
    if not found.floods:
        yield "<p>There was none.</p>"
        return
    yield _table(
        ("From (UTC)", "Minutes"),
        (
            (_time(one.since), f"{(from_iso(one.until) - from_iso(one.since)) / 60e6:.0f}")
            for one in found.floods
        ),
    )
    if found.flood_count > FLOODS_SHOWN:
        yield _note(f"The first {FLOODS_SHOWN} of {found.flood_count}.")


def _tiers(found: MonthFigures) -> Iterator[str]:
    names = ("high (tier 1)", "medium (tier 2)", "low (tiers 3 and 4)")
    yield bars(
        "Shares of alerts by priority, with those of ISA-18.2",
        [
            Bar(name, share, f"{share:.0%}, should be about {target:.0%}", target)
            for name, share, target in zip(names, _shares(found), TARGET_SHARES, strict=True)
        ],
    )
    yield _note("The line is what ISA-18.2 suggests. Where all is urgent, nothing is.")


def _sources(found: MonthFigures) -> Iterator[str]:
    yield bars(
        "The ten sources of most alerts",
        [Bar(one.name, one.count, f"{one.count} ({one.share:.0%})") for one in found.top_sources],
    )
    if found.chattering:
        yield "<p>Chattering (came back three times within a minute):</p>"
        yield _table(
            ("Condition or device", "Times"),
            ((one.name, str(one.count)) for one in found.chattering),
        )


def _times(found: MonthFigures) -> Iterator[str]:
    rows = [
        ("until somebody acknowledged", found.to_acknowledge),
        *(
            (f"of {name}", found.acknowledged_by_tier[tier])
            for tier, name in enumerate(_TIER_NAMES, 1)
        ),
        ("until somebody was sent", found.to_dispatch),
        ("until her handset had the notice", found.to_deliver),
    ]
    known = [(name, one.median_s or 0.0, one.p95_s or 0.0) for name, one in rows if one.count]
    yield bars(
        "Half within (bar) and 95 % within (line)",
        [
            Bar(name, median_s, f"half {_seconds(median_s)}, 95 % {_seconds(late_s)}", late_s)
            for name, median_s, late_s in known
        ],
    )
    yield _table(
        ("", "Count", "Half within", "95 % within", "Longest"),
        ((name, *_spread(one)) for name, one in rows),
    )


def _deliveries(found: MonthFigures) -> Iterator[str]:
    states = sorted({state for one in found.deliveries for state, n in one.states.items() if n})
    yield _table(
        ("Channel", *states, "did not get there"),
        (
            (one.channel, *(str(one.states[state]) for state in states), str(one.missed))
            for one in found.deliveries
        ),
    )
    if found.missed_reasons:
        yield "<p>Why they did not:</p>"
        yield bars(
            "Reasons of missed deliveries",
            [Bar(one.name, one.count, str(one.count)) for one in found.missed_reasons],
        )
        yield _table(
            ("Reason", "Count"), ((one.name, str(one.count)) for one in found.missed_reasons)
        )


def _outcomes(found: MonthFigures) -> Iterator[str]:
    true = sum(found.outcomes.get(one, 0) for one in TRUE_OUTCOMES)
    false = sum(found.outcomes.get(one, 0) for one in FALSE_OUTCOMES)
    yield bars(
        "Outcomes of closed alerts",
        [
            Bar(_OUTCOMES.get(name, name), count, str(count), ink=_ink(name))
            for name, count in found.outcomes.items()
        ],
    )
    judged = true + false
    share = f" ({true / judged:.0%} true)" if judged else ""
    yield _note(
        f"True (dark): {true}. False (light): {false}{share}. The others say neither: nobody gave an "
        "outcome, it was a test, or it could not be determined."
    )


def _ink(outcome: str) -> str:
    if outcome in TRUE_OUTCOMES:
        return INKS[0]
    return INKS[2] if outcome in FALSE_OUTCOMES else INKS[3]


def _shares(found: MonthFigures) -> tuple[float, float, float]:
    first, second, third, fourth = found.by_tier
    return first, second, third + fourth


def _spread(one: Spread) -> tuple[str, str, str, str]:
    return str(one.count), _seconds(one.median_s), _seconds(one.p95_s), _seconds(one.longest_s)


def _seconds(span_s: float | None) -> str:
    if span_s is None:
        return "-"
    if span_s < 120:
        return f"{span_s:.1f} s" if span_s < 10 else f"{span_s:.0f} s"
    return f"{span_s / 60:.0f} min" if span_s < 7200 else f"{span_s / 3600:.1f} h"


def _time(text: str) -> str:
    return to_datetime(from_iso(text)).strftime("%Y-%m-%d %H:%M:%S")


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
