"""Fits the estimator's parameters (`geofence.rules`) to recordings with the truth beside them.

Asked is how little the truth was expected: log V + e^2/2V at every whole second, with e the error
of the engine's own estimate and V the variance per axis that it claims (`benchmarks.tracking`).
That is least where the estimate is good and says truly how good. The objective is the mean over
the data sets of the mean over each, so that the walks, of which there are most, count for no more
than phones.

The search goes along one parameter after the other, up or down by a factor for as long as that
helps; when a round gains little, factors shrink to their square root. It begins at the values that
are shipped. The surface has more than one hollow: from other beginnings the search can end higher,
and `start` lets one try.

To see what a fit is worth where it has not looked, it is done again on the rest of the recordings
for each of some folds, and scored on those left out. A walk, and everything that one phone
recorded, is in one fold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fit_report import Calibration, FitReport, Parameter, SetScore
from benchmarks.phones import phone_of, read_phones
from benchmarks.recordings import read_recordings, thinned
from benchmarks.tracking import Sample, follow, sample_of, share_within, surprise
from geofence.plan import FloatArray
from geofence.rules import DEFAULT_RULES, Rules

WALKS = "oxford_walks/fixes_truth_dev.csv"
PHONES = "sf_phones/fixes_car_scooter_brex_san_jose.csv.gz"
REFERENCE = "sf_phones/reference_car_scooter_brex_san_jose.csv.gz"
INTERVALS_S = (1.0, 5.0, 15.0)
PROBABILITIES = (0.5, 0.68, 0.95, 0.99)

GAIN_LEAST = 2e-4
"""A step that gains less is not taken: folds differ by far more."""

ROUND_GAIN_LEAST = 5e-3
"""A round that gains less is the last with these factors."""

SHRINKINGS = 2

ROUNDS_MOST = 5
STEPS_MOST = 4
"""With one set of factors, and of one parameter in one round: data too poor to bound a parameter
would let it run away."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One number of `Rules`, the factor by which the search moves it at first, and its bound.

    Some numbers the recordings cannot bound from above, because in none of them does somebody get
    out of a car, or change the receiver: never forgetting would be best. `most` is what forgetting
    is for.

    What is taken as hidden is a difference of three numbers (see `Rules`), so that each by itself
    stands in a narrow valley. `along` names another and the power of the factor by which it moves
    with this one.
    """

    name: str
    factor: float
    index: int | None = None
    most: float = math.inf
    along: tuple[str, float] | None = None

    @property
    def label(self) -> str:
        """As in the tables: ``push[0]``."""
        return self.name if self.index is None else f"{self.name}[{self.index}]"

    def value(self, rules: Rules) -> float:
        """The number as it is."""
        whole = getattr(rules, self.name)
        return float(whole if self.index is None else whole[self.index])

    def moved(self, rules: Rules, factor: float) -> Rules | None:
        """The rules with the number multiplied; None where that is too much for it or them."""
        value: Any = self.value(rules) * factor
        if value > self.most:
            return None
        if self.index is not None:
            whole = list(getattr(rules, self.name))
            whole[self.index] = value
            value = tuple(whole)
        changes = {self.name: value}
        if self.along is not None:
            other, power = self.along
            changes[other] = getattr(rules, other) * factor**power
        try:
            return replace(rules, **changes)
        except ValueError:
            return None


KNOBS = (
    Knob("push", 2.0, 0),
    Knob("push", 1.6, 1),
    Knob("push", 2.0, 2),
    Knob("memory_s", 2.0, 0, most=3600.0),
    Knob("memory_s", 1.6, 1),
    Knob("memory_s", 2.0, 2),
    Knob("regime_s", 1.7),
    Knob("driving_s", 1.7, most=1800.0),
    Knob("driving_share", 1.7),
    Knob("noise_scale", 1.3),
    Knob("noise_memory", 2.0, most=1000.0),
    Knob("tail_share", 1.6),
    Knob("tail_factor", 1.25),
    Knob("wild_share", 2.0),
    Knob("wild_factor", 1.5),
    Knob("stray_density", 10.0),
    Knob("drift_share", 1.3),
    Knob("hidden_share", 1.2),
    Knob("hidden_factor", 1.25),
)

VALLEYS = (
    Knob("noise_scale", 1.2, along=("hidden_factor", -1.0)),
    Knob("hidden_share", 1.2, along=("hidden_factor", 1.0)),
)
"""Tried beside `KNOBS`."""

Sets = Mapping[str, Sequence[Sample]]
"""Data sets by name."""

Tell = Callable[[str], None]


def read_sets(folder: Path) -> dict[str, list[Sample]]:
    """The data sets of a folder: the walks at each of `INTERVALS_S`, and the phones by their kind.

    Raises:
        TrackError: A file is missing or cannot be used.
    """
    walks = read_recordings(folder / WALKS)
    sets = {
        f"walks, {interval_s:g} s": [sample_of(thinned(walk, interval_s)) for walk in walks]
        for interval_s in INTERVALS_S
    }
    phones = read_phones(folder / PHONES, folder / REFERENCE)
    for kind in ("android", "ios"):
        mine = [sample_of(phone) for phone in phones if kind in phone_of(phone)]
        if mine:
            sets[f"{kind} phones"] = mine
    return sets


def sums(samples: Sequence[Sample], rules: Rules) -> FloatArray:
    """(k, 2) sum of the surprise over each recording, and the number of seconds."""
    limits = rules.limits()
    found = [surprise(follow(sample, limits)) for sample in samples]
    return np.array([(one.sum(), one.size) for one in found]).reshape(-1, 2)


def mean_of(sums_: FloatArray) -> float:
    """Mean surprise at a second."""
    total, seconds = sums_.sum(axis=0)
    return float(total / seconds)


def objective(sets: Sets, rules: Rules) -> float:
    """The mean over the data sets of their mean surprise."""
    return float(np.mean([mean_of(sums(samples, rules)) for samples in sets.values()]))


def fit(
    sets: Sets,
    *,
    start: Rules = DEFAULT_RULES,
    knobs: Sequence[Knob] = KNOBS + VALLEYS,
    tell: Tell = lambda _: None,
) -> Rules:
    """The rules under which the truth is least surprising, found by the search of the module."""
    rules, best = start, objective(sets, start)
    for shrinking in range(SHRINKINGS + 1):
        for _ in range(ROUNDS_MOST):
            before = best
            for knob in knobs:
                rules, best = _along(knob, 0.5**shrinking, sets, rules, best)
            tell(f"Surprise {best:.3f}, factors to the power of {0.5**shrinking:g}")
            if before - best < ROUND_GAIN_LEAST:
                break
    return rules


def _along(knob: Knob, power: float, sets: Sets, rules: Rules, best: float) -> tuple[Rules, float]:
    """Move one parameter up, or else down, for as long as it helps."""
    for factor in (knob.factor**power, knob.factor**-power):
        start = rules
        for _ in range(STEPS_MOST):
            candidate = knob.moved(rules, factor)
            value = objective(sets, candidate) if candidate is not None else math.inf
            if candidate is None or value > best - GAIN_LEAST:
                break
            rules, best = candidate, value
        if rules is not start:
            break
    return rules, best


def carriers(sets: Sets) -> list[str]:
    """Whatever must be in one fold: each walk, and each phone with all its drives."""
    return sorted({carrier_of(sample) for samples in sets.values() for sample in samples})


def carrier_of(sample: Sample) -> str:
    """The walk, or the phone."""
    return sample.name.partition("/")[0]


def split(sets: Sets, out: frozenset[str]) -> tuple[dict[str, list[Sample]], Sets]:
    """The data sets without some carriers, and with them alone; empty sets are left away."""

    def chosen(*, inside: bool) -> dict[str, list[Sample]]:
        found = {
            name: [one for one in samples if (carrier_of(one) in out) == inside]
            for name, samples in sets.items()
        }
        return {name: samples for name, samples in found.items() if samples}

    return chosen(inside=False), chosen(inside=True)


def run_fit(sets: Sets, *, folds: int, tell: Tell = lambda _: None) -> FitReport:
    """Fit to everything and to all but each fold, and score what is shipped beside it.

    Args:
        sets: See `read_sets`.
        folds: How many; at least 2.
        tell: Called with what is done next.
    """

    def telling(what: str) -> Tell:
        return lambda step: tell(f"{what}. {step}")

    full = fit(sets, tell=telling("Fitting to everything"))
    names = carriers(sets)
    folds = min(folds, len(names))
    by_fold: list[Rules] = []
    left_out: dict[str, list[FloatArray]] = {name: [] for name in sets}
    shipped: dict[str, list[FloatArray]] = {name: [] for name in sets}
    for fold in range(folds):
        rest, out = split(sets, frozenset(names[fold::folds]))
        by_fold.append(fit(rest, tell=telling(f"Fitting without fold {fold + 1} of {folds}")))
        for name, samples in out.items():
            left_out[name].append(sums(samples, by_fold[-1]))
            shipped[name].append(sums(samples, DEFAULT_RULES))
    return FitReport(
        rules=DEFAULT_RULES.version,
        folds=folds,
        parameters=[_parameter(knob, full, by_fold) for knob in KNOBS],
        sets=[
            _score(
                name,
                sums(samples, full),
                np.concatenate(shipped[name]),
                np.concatenate(left_out[name]),
            )
            for name, samples in sets.items()
        ],
        calibration=calibration(sets, DEFAULT_RULES),
    )


def _parameter(knob: Knob, full: Rules, by_fold: Sequence[Rules]) -> Parameter:
    values = [knob.value(rules) for rules in by_fold]
    return Parameter(
        name=knob.label,
        shipped=knob.value(DEFAULT_RULES),
        fitted=knob.value(full),
        fold_least=min(values),
        fold_most=max(values),
    )


def _score(name: str, full: FloatArray, shipped: FloatArray, left_out: FloatArray) -> SetScore:
    """The scores of one data set; `shipped` and `left_out` go by the same recordings."""
    total_s = float(shipped[:, 1].sum())
    behind = (shipped[:, 0] - left_out[:, 0]) / total_s
    mean = float(behind.sum())
    # Seconds of one recording are no independent witnesses; recordings are.
    off = shipped[:, 0] - left_out[:, 0] - mean * shipped[:, 1]
    count = len(off)
    error = math.sqrt(float(np.sum(off * off)) * count / max(1, count - 1)) / total_s
    return SetScore(
        name=name,
        recordings=count,
        seconds=int(total_s),
        shipped=mean_of(shipped),
        fitted=mean_of(full),
        left_out=mean_of(left_out),
        shipped_behind=mean,
        shipped_behind_error=error if count > 1 else None,
    )


def calibration(sets: Sets, rules: Rules) -> list[Calibration]:
    """What share of the truths the claimed radii hold, for each data set."""
    limits = rules.limits()
    found: list[Calibration] = []
    for name, samples in sets.items():
        followed = [follow(sample, limits) for sample in samples]
        shares: list[float] = []
        for probability in PROBABILITIES:
            counted = np.array([share_within(one, probability) for one in followed]).sum(axis=0)
            shares.append(float(counted[0] / counted[1]))
        found.append(Calibration(name=name, claimed=list(PROBABILITIES), held=shares))
    return found
