"""Settings, wiring, command line, embedded servers, metrics and the clock. No domain logic."""

__version__ = "0.1.0"
