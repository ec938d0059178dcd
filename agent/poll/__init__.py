"""One supervised loop per bus: schedule, dead-slave backoff, live values."""
