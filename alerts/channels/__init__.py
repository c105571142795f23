"""Thin adapters that send: one module per channel."""
