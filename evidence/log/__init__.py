"""The tamper-evident log: formats, trees, chains and signatures. No I/O, no clock, no database."""
