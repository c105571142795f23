"""Deciding again what was decided, from what is stored: the engine over a time that is past."""
