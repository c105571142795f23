"""Simulated people and devices that speak real MQTT, and recorded tracks played as devices."""
