"""Migrations of the schema `evidence`: numbered SQL files, applied once each, forward only."""
