"""From MQTT to the journal: decode, check, keep, acknowledge. Decides nothing about distance."""
