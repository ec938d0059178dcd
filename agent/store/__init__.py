"""What only a gateway keeps: recent readings, sealed archive, outbox, state and audit."""
