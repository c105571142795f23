"""Alerts: what staff, officers and protected people are told, and what they did about it."""
