"""The plant's own books: what was consumed and emitted, from the exact integrals of the loads.

They know nothing of registers, buses or readings, so they can witness for or against a gateway.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.virtual.clock import month_start_ms
from drivers.virtual.definition import PlantDefinition, default_definition
from drivers.virtual.errors import PlantError
from drivers.virtual.meter import Meter
from drivers.virtual.profile import Profile

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEntry:
    """One source of a device in one span: the amount in the meter's unit and its emission."""

    meter: str
    quantity: str
    unit: str
    amount: float
    kgco2_per_unit: float
    kgco2e: float


class Books:
    """Energy and emissions per device and span of time (UTC milliseconds)."""

    def __init__(self, definition: PlantDefinition, meters: Mapping[str, Meter]) -> None:
        self.definition = definition
        self._meters = meters

    def amount(self, meter: str, start_ms: float, end_ms: float) -> float:
        """True amount through a meter in its unit (kWh, GJ, Nm3, t)."""
        if meter not in self._meters:
            raise PlantError(f"no meter {meter!r}; choose from {', '.join(self._meters)}")
        return self._meters[meter].profile.amount(start_ms, end_ms)

    def sources(self, device: str, start_ms: float, end_ms: float) -> tuple[SourceEntry, ...]:
        """What each source of a device consumed and emitted in a span."""
        entries = []
        for source in self._device(device).sources:
            factor = self.definition.factors[source.factor]
            model = self._meters[source.meter].model
            amount = self.amount(source.meter, start_ms, end_ms)
            entries.append(
                SourceEntry(
                    meter=source.meter,
                    quantity=model.quantity,
                    unit=model.unit,
                    amount=amount,
                    kgco2_per_unit=factor.kgco2_per_unit,
                    kgco2e=amount * factor.kgco2_per_unit,
                )
            )
        return tuple(entries)

    def window(self, device: str, start_ms: float, end_ms: float) -> float:
        """Emission of a device in a span [kgCO2e]: the sum over its sources of amount x factor."""
        return sum(entry.kgco2e for entry in self.sources(device, start_ms, end_ms))

    def bound_kgco2e(
        self,
        device: str,
        start_ms: float,
        end_ms: float,
        poll_interval_s: float,
        reply_s: float,
    ) -> float:
        """How far a gateway that works well may be from `window` [kgCO2e].

        Sum over the sources of factor x (2 x counter resolution + largest change of the rate in
        the span x (poll interval + reply time)).

        Example: a counter of 0.1 kWh, a rate that moves by 36 kW within the span, polled every
        1 s with replies after 0.2 s: 0.5306 x (0.2 + 36/3600 x 1.2) = 0.112 kgCO2e.
        """
        bound = 0.0
        for source in self._device(device).sources:
            meter = self._meters[source.meter]
            factor = self.definition.factors[source.factor]
            swing_per_s = meter.profile.swing(start_ms, end_ms) / 3600.0
            timing = swing_per_s * (poll_interval_s + reply_s)
            bound += factor.kgco2_per_unit * (2.0 * meter.resolution(end_ms) + timing)
        return bound

    def as_dict(self, start_ms: int, end_ms: int, window_s: float) -> dict[str, Any]:
        """The books of a span: per device its total, its sources and its whole windows.

        Windows are aligned to multiples of their length in UTC.
        """
        length_ms = round(window_s * 1000)
        if length_ms <= 0 or end_ms < start_ms:
            raise PlantError("books need a span that does not run backwards and a positive window")
        first_ms = -(-start_ms // length_ms) * length_ms
        starts = range(first_ms, end_ms - length_ms + 1, length_ms)
        return {
            "schema": FORMAT,
            "site": self.definition.site,
            "from_ms": start_ms,
            "to_ms": end_ms,
            "window_ms": length_ms,
            "devices": {
                device: {
                    "name": self.definition.devices[device].name,
                    "stage": self.definition.devices[device].stage,
                    "kgco2e": self.window(device, start_ms, end_ms),
                    "sources": [
                        {
                            "meter": entry.meter,
                            "quantity": entry.quantity,
                            "unit": entry.unit,
                            "amount": entry.amount,
                            "kgco2_per_unit": entry.kgco2_per_unit,
                            "kgco2e": entry.kgco2e,
                        }
                        for entry in self.sources(device, start_ms, end_ms)
                    ],
                    "windows": [
                        {"start_ms": begin, "kgco2e": self.window(device, begin, begin + length_ms)}
                        for begin in starts
                    ],
                }
                for device in self.definition.devices
            },
        }

    def write(self, path: Path, start_ms: int, end_ms: int, window_s: float) -> None:
        """Write the books of a span as JSON; a reader sees the old file or the whole new one."""
        text = json.dumps(self.as_dict(start_ms, end_ms, window_s), ensure_ascii=False, indent=1)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        Path(name).replace(path)

    def _device(self, device: str) -> Any:
        try:
            return self.definition.devices[device]
        except KeyError:
            known = ", ".join(self.definition.devices)
            raise PlantError(f"no device {device!r}; choose from {known}") from None


def meters_of(definition: PlantDefinition, *, start_ms: float, seed: int) -> dict[str, Meter]:
    """The plant's meters without faults, commissioned at the start of the local month."""
    commissioned_ms = month_start_ms(start_ms, definition.utc_offset_h)
    return {
        id_: Meter(
            meter,
            profile=Profile(meter, seed=seed, utc_offset_h=definition.utc_offset_h),
            commissioned_ms=commissioned_ms,
        )
        for id_, meter in definition.meters.items()
    }


def open_books(
    start_ms: float, *, seed: int = 1, definition: PlantDefinition | None = None
) -> Books:
    """The books of a plant without the plant: the loads depend on time and seed alone, so a
    process beside the plant can keep them as well."""
    plant = definition if definition is not None else default_definition()
    return Books(plant, meters_of(plant, start_ms=start_ms, seed=seed))
