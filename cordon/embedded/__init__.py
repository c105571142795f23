"""Servers that Cordon brings with it: a broker and a database, for a first run and for tests.

A site of any size runs its own; then these modules are not used.
"""
