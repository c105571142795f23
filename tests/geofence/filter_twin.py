"""What a fix changes, once more: a mixture of Gaussians with whole matrices, on a plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geofence.plan import FloatArray
from geofence.rules import Limits
from tests.geofence.track_states import Movement, per_axis

_SEEN = np.eye(2, 4)
"""A fix shows place, not velocity."""


@dataclass(frozen=True)
class Absorbed:
    """What is believed after a fix."""

    movements: list[Movement]
    sound: float
    told: float
    """Ordinary fixes' worth of what the fix tells about the receiver's noise,"""
    surprise: float
    """and the sum of d^2 / 2S over them."""


def _kinds(noise2: float, limits: Limits) -> list[tuple[float, float]]:
    """Share and variance of the errors of ordinary, tail and wild fixes."""
    ordinary = 1 - limits.tail_share - limits.wild_share
    return [
        (ordinary, noise2),
        (limits.tail_share, noise2 * limits.tail_factor2),
        (limits.wild_share, noise2 * limits.wild_factor2),
    ]


def absorbed(
    predicted: list[Movement], fix_m: FloatArray, noise2: float, limits: Limits
) -> Absorbed:
    """The posterior of every model, moment-matched, and the same on both axes."""
    movements, joints, sounds = [], [], []
    told = surprise = 0.0
    for one in predicted:
        difference = fix_m - _SEEN @ one.mean
        likelihoods, parts = [], []
        for share, variance in _kinds(noise2, limits):
            s = _SEEN @ one.covariance @ _SEEN.T + variance * np.eye(2)
            half = difference @ np.linalg.solve(s, difference) / 2
            likelihoods.append(
                share * math.exp(-half) / (2 * math.pi * math.sqrt(np.linalg.det(s)))
            )
            gain = one.covariance @ _SEEN.T @ np.linalg.inv(s)
            keep = np.eye(4) - gain @ _SEEN
            # Joseph's form, which cannot lose definiteness by rounding.
            noise = variance * gain @ gain.T
            parts.append((one.mean + gain @ difference, keep @ one.covariance @ keep.T + noise))
        likelihoods.append(limits.stray_density)
        parts.append((one.mean, one.covariance))
        total = sum(likelihoods)
        shares = [likelihood / total for likelihood in likelihoods]
        mean = sum((w * m for w, (m, _) in zip(shares, parts, strict=True)), np.zeros(4))
        spread = sum(
            (
                w * (c + np.outer(m - mean, m - mean))
                for w, (m, c) in zip(shares, parts, strict=True)
            ),
            np.zeros((4, 4)),
        )
        joints.append(one.weight * total)
        sounds.append(one.weight * (likelihoods[0] + likelihoods[1]))
        movements.append(Movement(0.0, mean[:2], mean[2:], per_axis(spread)))
        s0 = one.spread[0, 0] + noise2
        worth = one.weight * likelihoods[0] * noise2 / s0
        told += worth
        surprise += worth * (difference @ difference) / 2 / s0
    total = sum(joints)
    return Absorbed(
        [
            Movement(joint / total, m.place_m, m.velocity_mps, m.spread)
            for joint, m in zip(joints, movements, strict=True)
        ],
        sum(sounds) / total,
        told / total,
        surprise / total,
    )


@dataclass
class OddTwin:
    """Fixes in a row that the track does not explain: plain Python, on a plane."""

    limits: Limits
    row: list[tuple[int, FloatArray, float]]

    def note(self, time_us: int, fix_m: FloatArray, sigma_m: float, sound: float) -> bool:
        """Whether the track is to be moved to this fix."""
        if sound > 0.5:
            if sound > 0.8:
                self.row = []
            return False
        if self.row:
            before_us, before_m, before_sigma_m = self.row[-1]
            way_m = self.limits.move_limit_mps * (time_us - before_us) / 1e6
            error_m = 2 * self.limits.noise_scale * (sigma_m + before_sigma_m)
            if np.linalg.norm(fix_m - before_m) > way_m + error_m:
                self.row = []
        self.row.append((time_us, fix_m, sigma_m))
        if len(self.row) < self.limits.moved_fixes:
            return False
        self.row = []
        return True
