"""The errors of the virtual plant; it shares none with the gateway."""

from __future__ import annotations


class PlantError(ValueError):
    """The plant's definition or a request to it is wrong; the text says what to do."""
