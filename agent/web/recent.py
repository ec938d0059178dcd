"""One answer of the gateway serves everybody who asks within a moment."""

from __future__ import annotations

import asyncio

from agent.web.view import DeviceDetail, GatewayView, Snapshot

DETAILS_KEPT = 32


class RecentView:
    """Snapshots and device details of a view, at most ``max_age_s`` old."""

    def __init__(self, view: GatewayView, max_age_s: float) -> None:
        self.view = view
        self._max_age_s = max_age_s
        self._lock = asyncio.Lock()
        self._snapshot: tuple[float, Snapshot] | None = None
        self._details: dict[str, tuple[float, DeviceDetail | None]] = {}

    async def snapshot(self) -> Snapshot:
        async with self._lock:
            now_s = asyncio.get_running_loop().time()
            if self._snapshot is None or now_s - self._snapshot[0] > self._max_age_s:
                self._snapshot = (now_s, await self.view.snapshot())
            return self._snapshot[1]

    async def device(self, device: str) -> DeviceDetail | None:
        async with self._lock:
            now_s = asyncio.get_running_loop().time()
            held = self._details.get(device)
            if held is None or now_s - held[0] > self._max_age_s:
                held = (now_s, await self.view.device(device))
                self._details.pop(device, None)
                while len(self._details) >= DETAILS_KEPT:
                    self._details.pop(next(iter(self._details)))
                self._details[device] = held
            return held[1]
