"""Migrations of the PostgreSQL schema ``caseload``."""
