"""What a Modbus driver counts about its bus."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

RESPONSES_KEPT = 64


@dataclass(slots=True, kw_only=True)
class ModbusStatistics:
    """Counters since the start; satisfies `agent.core.ports.BusStatistics`."""

    exchanges: int = 0  # requests sent
    timeouts: int = 0
    invalid: int = 0  # replies that could not belong to the request
    refused: int = 0  # exceptions
    busy_ns: int = 0  # time the bus was in use, quiet periods included
    late: int = 0  # replies that came after their timeout and were thrown away
    noise_bytes: int = 0  # bytes that belonged to no frame
    silence_violations: int = 0  # requests sent less than 3.5 characters after the last byte
    slowest_reply_ms: float = 0.0
    responses_ms: dict[str, deque[float]] = field(default_factory=dict)

    def responded(self, meter: str, response_ms: float) -> None:
        """Remember how long a meter took from the end of the request to its whole reply."""
        kept = self.responses_ms.get(meter)
        if kept is None:
            kept = self.responses_ms[meter] = deque(maxlen=RESPONSES_KEPT)
        kept.append(response_ms)
        self.slowest_reply_ms = max(self.slowest_reply_ms, response_ms)

    def response_p95_ms(self, meter: str) -> float | None:
        """The 95th percentile of the meter's last responses, None before the first."""
        kept = sorted(self.responses_ms.get(meter, ()))
        return kept[min(len(kept) - 1, int(0.95 * len(kept)))] if kept else None
