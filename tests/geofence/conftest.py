"""Kernels are compiled at their first call, which is no sign of anything being slow."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("geofence", deadline=None)
settings.load_profile("geofence")
