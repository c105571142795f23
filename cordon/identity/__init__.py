"""Who is who at the broker: letting devices in, putting them out, seeing what they may not do."""
