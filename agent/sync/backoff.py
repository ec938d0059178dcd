"""How long to wait before trying again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Doubling delays from ``first_s`` up to ``most_s`` seconds, times 1 to 1 + ``jitter``.

    The jitter keeps many gateways from coming back together.
    """

    first_s: float
    most_s: float
    jitter: float = -0.5

    def delay_s(self, attempt: int, random: float) -> float:
        """The wait before attempt number ``attempt`` (from 0); ``random`` is in [0, 1).

        Example:
            >>> Backoff(first_s=1.0, most_s=60.0).delay_s(2, 0.5)
            3.0
        """
        full = min(self.most_s, self.first_s * 2.0 ** min(attempt, 30))
        return full * (1.0 + self.jitter * random)
