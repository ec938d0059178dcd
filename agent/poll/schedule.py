"""When a meter is asked next: pure rules for periods, failures and dead meters.

A meter is dead when it failed three times in a row. A dead meter is probed at growing
intervals, so that in the long run its timeouts take at most one per cent of the bus.
"""

from __future__ import annotations

DEAD_AFTER_FAILURES = 3
DEAD_SHARE_OF_BUS = 0.01
SECOND_NS = 1_000_000_000


def next_due_ns(previous_due_ns: int, period_ns: int, now_ns: int) -> int:
    """The next multiple of the period after the one just served; missed ones are skipped.

    >>> next_due_ns(10, 5, 12)
    15
    >>> next_due_ns(10, 5, 27)
    30
    """
    due_ns = previous_due_ns + period_ns
    missed = max(0, -(-(now_ns - due_ns) // period_ns))
    return due_ns + missed * period_ns


def is_dead(failures: int) -> bool:
    """Whether so many failures in a row make a meter dead."""
    return failures >= DEAD_AFTER_FAILURES


def probe_delay_ns(failures: int, period_ns: int, cost_ns: int) -> int:
    """How long a dead meter is left alone, given what one failed attempt costs the bus.

    Doubles from two periods with each failure until the cost is one per cent of the interval.

    >>> probe_delay_ns(3, SECOND_NS, SECOND_NS // 2) // SECOND_NS
    2
    >>> probe_delay_ns(20, SECOND_NS, SECOND_NS // 2) // SECOND_NS
    50
    """
    longest_ns = max(int(cost_ns / DEAD_SHARE_OF_BUS), period_ns)
    doublings = min(failures - DEAD_AFTER_FAILURES, 30)
    return min(2 * period_ns * (1 << max(doublings, 0)), longest_ns)
