"""Measuring a zone compiles a kernel at the first call, which is no sign of anything being slow."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("devices", deadline=None)
settings.load_profile("devices")
