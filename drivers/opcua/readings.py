"""From changes to samples: quality, units, and what an unchanged value is still worth. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from typing import Any, Final

from agent.core.model import PointRole, Quality, Sample
from drivers.opcua.nodes import NodePoint
from drivers.opcua.wire import Change

StatusName = Callable[[int], str]

_OVERFLOW: Final = 0x0480  # info type «data value» with the overflow bit, OPC 10000-4 §7.39.1
_FUTURE_MS: Final = 60_000  # a source whose clock is further ahead is not believed
_LOCAL_OVERRIDE: Final = 0x0096_0000  # good, but typed in by a person


def quality_of(status: int) -> Quality:
    """The quality behind a status code: its two top bits, OPC 10000-4 §7.39.

    Good is good, save Good_LocalOverride: a value that a person has typed in was not measured
    and is suspect. Uncertain is suspect. Bad is missing, whatever value comes with it.
    """
    severity = status >> 30
    if severity == 0:
        return Quality.SUSPECT if status & 0xFFFF_0000 == _LOCAL_OVERRIDE else Quality.GOOD
    return Quality.SUSPECT if severity == 1 else Quality.MISSING


class Readings:
    """What is known of each point of one bus, kept across sessions.

    A server reports changes only, so silence of a living subscription says that a value still
    holds. ``held`` says that aloud once per period, at a time so early that no change made before
    it can still be on its way; without it a meter that stands still looks like a dead one.
    """

    def __init__(
        self, points: Sequence[NodePoint], status_name: StatusName, subscribe_lag_ms: int
    ) -> None:
        self.points = tuple(points)
        self.lag_ms = [point.period_ms + subscribe_lag_ms for point in self.points]
        self.overflows = 0
        self.future_times = 0
        self.held_count = 0
        self._status_name = status_name
        self._last: list[Sample | None] = [None] * len(self.points)
        self._seen_ms = [0] * len(self.points)  # newest time delivered, 0 = never
        self._stale_ms = [0] * len(self.points)  # changes up to here are not news, 0 = all are
        self._pause_ms = min((point.period_ms for point in self.points), default=1000)
        self._next_held_ms = 0

    def seen_ms(self, handle: int) -> int:
        """Up to when the values of a point are delivered, 0 if there were none."""
        return self._seen_ms[handle]

    def subscribed(self, handles: Iterable[int], server_ms: int) -> None:
        """A new subscription repeats each current value: it is news only if it is newer."""
        for handle in handles:
            self._last[handle] = None
            self._stale_ms[handle] = self._seen_ms[handle] or max(
                1, server_ms - self.lag_ms[handle]
            )
        self._next_held_ms = 0

    def change(self, changes: Iterable[Change], publish_ms: int, monotonic_ns: int) -> list[Sample]:
        """One sample per change; repeated current values are remembered but not delivered.

        ``publish_ms`` is the server's time of the notification. A value without a time of its
        own, or with one in the future, gets the server's.
        """
        points, last, seen, stale = self.points, self._last, self._seen_ms, self._stale_ms
        samples: list[Sample] = []
        count = len(points)
        latest_ms = publish_ms + _FUTURE_MS
        for handle, value, status, source_ms, server_ms in changes:
            if handle >= count:
                continue
            time_ms = source_ms or server_ms or publish_ms
            if time_ms > latest_ms:
                self.future_times += 1
                time_ms = server_ms if 0 < server_ms <= latest_ms else publish_ms
            sample = self._sample(points[handle], value, status, time_ms, monotonic_ns)
            last[handle] = sample
            if stale[handle]:
                if time_ms <= stale[handle]:
                    self._next_held_ms = 0
                    continue
                stale[handle] = 0
            if time_ms > seen[handle]:
                seen[handle] = time_ms
            samples.append(sample)
        return samples

    def past(self, handle: int, changes: Iterable[Change], monotonic_ns: int) -> list[Sample]:
        """Samples of a history read; a change in the time that they cover is news no more."""
        point = self.points[handle]
        samples = [
            self._sample(point, value, status, source_ms or server_ms, monotonic_ns)
            for _, value, status, source_ms, server_ms in changes
        ]
        if samples:
            newest = max(samples, key=lambda sample: sample.time_ms)
            self._seen_ms[handle] = max(self._seen_ms[handle], newest.time_ms)
            self._stale_ms[handle] = max(self._stale_ms[handle], newest.time_ms)
        return samples

    def missing(self, handle: int, reason: str, now_ms: int, monotonic_ns: int) -> Sample:
        """The sample of a point that the server does not give; held until it does."""
        sample = _sample_of(self.points[handle].id, now_ms, monotonic_ns, reason)
        self._last[handle] = sample
        self._stale_ms[handle] = 0
        return sample

    def held(self, publish_ms: int, monotonic_ns: int) -> list[Sample]:
        """Samples for the values that the server's silence until ``publish_ms`` confirms."""
        if publish_ms < self._next_held_ms:
            return []
        self._next_held_ms = publish_ms + self._pause_ms
        samples: list[Sample] = []
        for handle, sample in enumerate(self._last):
            if sample is None:
                continue
            time_ms = publish_ms - self.lag_ms[handle]
            fresh = time_ms - sample.time_ms >= self.points[handle].period_ms
            if fresh or (self._stale_ms[handle] and time_ms > self._seen_ms[handle]):
                self._stale_ms[handle] = 0
                samples.append(self._again(handle, sample, time_ms, monotonic_ns))
        self.held_count += len(samples)
        return samples

    def _again(self, handle: int, sample: Sample, time_ms: int, monotonic_ns: int) -> Sample:
        again = Sample(
            point=sample.point,
            time_ms=time_ms,
            monotonic_ns=monotonic_ns,
            value=sample.value,
            quality=sample.quality,
            raw=sample.raw,
            text=sample.text,
        )
        self._last[handle] = again
        if again.quality is not Quality.MISSING:
            self._seen_ms[handle] = max(self._seen_ms[handle], time_ms)
        return again

    def _sample(
        self, point: NodePoint, value: Any, status: int, time_ms: int, monotonic_ns: int
    ) -> Sample:
        if status:
            if status & _OVERFLOW == _OVERFLOW:
                self.overflows += 1
            quality = quality_of(status)
            raw = "" if quality is Quality.GOOD else self._status_name(status)
            if quality is Quality.MISSING:
                return _sample_of(point.id, time_ms, monotonic_ns, raw)
        else:
            quality = Quality.GOOD
            raw = ""
        if point.role is PointRole.TEXT:
            return _text_sample(point, value, quality, raw, time_ms, monotonic_ns)
        if not isinstance(value, (float, int)):
            text = value if isinstance(value, str) else None
            return _sample_of(
                point.id, time_ms, monotonic_ns, f"not a number: {repr(value)[:40]}", text
            )
        number = value * point.scale
        if not isfinite(number):
            return _sample_of(point.id, time_ms, monotonic_ns, f"{value!r} is no quantity")
        return Sample(
            point=point.id,
            time_ms=time_ms,
            monotonic_ns=monotonic_ns,
            value=float(number),
            quality=quality,
            raw=raw,
        )


def _text_sample(
    point: NodePoint, value: Any, quality: Quality, raw: str, time_ms: int, monotonic_ns: int
) -> Sample:
    if value is None:
        return _sample_of(point.id, time_ms, monotonic_ns, raw or "no value")
    return Sample(
        point=point.id,
        time_ms=time_ms,
        monotonic_ns=monotonic_ns,
        value=None,
        quality=quality,
        raw=raw,
        text=value if isinstance(value, str) else str(value),
    )


def _sample_of(
    point: str, time_ms: int, monotonic_ns: int, raw: str, text: str | None = None
) -> Sample:
    return Sample(
        point=point,
        time_ms=time_ms,
        monotonic_ns=monotonic_ns,
        value=None,
        quality=Quality.MISSING,
        raw=raw,
        text=text,
    )
