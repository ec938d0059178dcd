"""From readings to sealed batches: record, close windows, compute, seal, calendar work."""
