"""A meter of the virtual plant: an exact counter that shows itself through registers."""

from __future__ import annotations

import threading

from drivers.virtual.definition import MeterDefinition
from drivers.virtual.faults import Faults
from drivers.virtual.profile import Profile
from drivers.virtual.registers import MODELS, Model, Registers, Snapshot


class Counter:
    """A counter that runs from its commissioning; faults move it, the books do not notice."""

    def __init__(
        self, profile: Profile, *, start: float, commissioned_ms: float, modulus: float
    ) -> None:
        self._profile = profile
        self._start = start
        self._commissioned_ms = commissioned_ms
        self._modulus = modulus
        self._offset = 0.0
        self._lock = threading.Lock()

    def total(self, t_ms: float) -> float:
        """What the counter has counted up to a time, wrapped at its modulus."""
        with self._lock:
            counted = self._counted(t_ms) + self._offset
        return counted % self._modulus

    def reset(self, t_ms: float) -> None:
        """Begin again at 0 from a time on."""
        with self._lock:
            self._offset = -self._counted(t_ms)

    def move_near_modulus(self, t_ms: float, seconds: float) -> None:
        """Jump so that the counter wraps ``seconds`` after a time."""
        ahead = self._profile.amount(t_ms, t_ms + seconds * 1000.0)
        with self._lock:
            self._offset = self._modulus - ahead - self._counted(t_ms)

    def _counted(self, t_ms: float) -> float:
        return self._start + self._profile.amount(self._commissioned_ms, t_ms)


class Meter:
    """One slave: its profile, counter and register map, with the faults that befall it."""

    def __init__(
        self,
        definition: MeterDefinition,
        *,
        profile: Profile,
        commissioned_ms: float,
        faults: Faults | None = None,
    ) -> None:
        self.definition = definition
        self.model: Model = MODELS[definition.model]
        self.profile = profile
        self.counter = Counter(
            profile,
            start=definition.start,
            commissioned_ms=commissioned_ms,
            modulus=self.model.modulus,
        )
        self._faults = faults

    @property
    def id(self) -> str:
        return self.definition.id

    @property
    def unit(self) -> int:
        return self.definition.unit

    def resolution(self, t_ms: float) -> float:
        """One count of the counter at a time, in the meter's unit."""
        return self.model.resolution(self.counter.total(t_ms))

    def registers(self, t_ms: float, wanted: range | None = None) -> Registers:
        """The registers as the meter shows them at a time; one snapshot, so that the parts of a
        value belong together. ``wanted`` are the addresses of the request, None stands for all.
        """
        broken = self._faults is not None and self._faults.active("nan", self.id) is not None
        snapshot = Snapshot(
            t_ms=t_ms,
            rate=self.profile.rate(t_ms),
            total=self._shown_total(t_ms, wanted),
            broken=broken,
            options=self.definition.options,
        )
        return self.model.build(snapshot)

    def _shown_total(self, t_ms: float, wanted: range | None) -> float:
        """The counter with its faults: a jump happens at the next request, a transient zero only
        in a reply that carries a counter."""
        faults = self._faults
        if faults is not None:
            if (rollover := faults.take("rollover", self.id)) is not None:
                self.counter.move_near_modulus(t_ms, rollover.amount)
            if faults.take("reset", self.id) is not None:
                self.counter.reset(t_ms)
            counters = self.model.counters
            read = wanted is None or any(address in wanted for address in counters)
            if read and faults.take("zero", self.id) is not None:
                return 0.0
        return self.counter.total(t_ms)
