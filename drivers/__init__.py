"""Drivers: one folder per field protocol."""
