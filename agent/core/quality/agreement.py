"""Two witnesses of one amount: a counter and the integral of its rate, or two meters in a row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

RATE_TOLERANCE = 0.05  # sampled once a period, a rate is no better than this over an hour
TEMPLATE_COUNTS = 2.0  # register steps at both ends


class Disagreement(StrEnum):
    """What two witnesses that differ say of the first."""

    STUCK = "stuck"  # it stands still while the other runs
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Both amounts in one unit, how far they may be apart, and what that says (None: they agree).

    ``reason`` names the disagreement for a person.
    """

    first: float
    second: float
    tolerance: float
    disagreement: Disagreement | None

    @property
    def reason(self) -> str:
        """One clause with both numbers, or empty."""
        if self.disagreement is None:
            return ""
        return f"{self.first:g} against {self.second:g}, tolerated {self.tolerance:g}"


def counter_against_rate(
    counted: float, integral: float, *, resolution: float, share: float = RATE_TOLERANCE
) -> Verdict:
    """Hold what a counter booked against the integral of the rate of the same meter.

    Both cover the same time and are in the counter's unit; ``resolution`` is one count. They may
    differ by two counts and by ``share`` of the integral. A counter that did not move by one
    count while the rate says more than it tolerates is stuck (as after the loss of resolution of
    a 32-bit float).

    Example: 100.0 kWh counted against 97 kWh of power agree (5 %); 0 against 97 is stuck.
    """
    tolerance = TEMPLATE_COUNTS * resolution + share * abs(integral)
    off = abs(counted - integral) > tolerance
    stuck = off and abs(counted) < max(resolution, 1e-9) <= abs(integral)
    return _verdict(counted, integral, tolerance, off, stuck)


def meter_against_check_meter(
    amount: float, check: float, *, class_pct: float, check_class_pct: float
) -> Verdict:
    """Hold a meter against a second one in the same line.

    Both errors are independent: they may be apart by the root of the sum of squares of their
    accuracy classes (in % of the amount each).

    Example: class 1 and class 0.5 at 1,000 kWh: 11.18 kWh apart at most.
    """
    tolerance = math.hypot(amount * class_pct / 100, check * check_class_pct / 100)
    off = abs(amount - check) > tolerance
    return _verdict(amount, check, tolerance, off, off and amount == 0)


def _verdict(first: float, second: float, tolerance: float, off: bool, stuck: bool) -> Verdict:
    disagreement = Disagreement.STUCK if stuck else Disagreement.DIFFERS if off else None
    return Verdict(first=first, second=second, tolerance=tolerance, disagreement=disagreement)
