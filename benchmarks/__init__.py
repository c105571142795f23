"""Measurements beside a peer, as ratios, with JSON output: ``cordon bench NAME --json``."""
