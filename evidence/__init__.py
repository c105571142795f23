"""The record: everything received, decided and sent, in TimescaleDB or plain PostgreSQL."""
