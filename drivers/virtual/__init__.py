"""A virtual chemical plant that answers on the wire and keeps its own books."""
