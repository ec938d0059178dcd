"""Records that are longer than the buckets they are asked in: an even share in each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.book.ports import EmissionSum, Span
from agent.core.model import Emission

LONGEST_MS = 32 * 86_400_000  # no record is longer than a month


def spread_sums(
    emissions: Iterable[Emission], span: Span, bucket_ms: int, offset_ms: int
) -> Iterator[EmissionSum]:
    """The part of each emission in each bucket of the span, by the time they share.

    The parts are differences of what has come together by the end of each bucket, so that all
    buckets of a record add up to it. ``spread_kgco2e`` says how much of a bucket was so divided.
    """
    for emission in emissions:
        first_ms = (emission.start_ms + offset_ms) // bucket_ms * bucket_ms - offset_ms
        reached = 0.0
        for bucket in range(first_ms, emission.end_ms, bucket_ms):
            part_ms = min(bucket + bucket_ms, emission.end_ms) - emission.start_ms
            so_far = (emission.kgco2e or 0.0) * (part_ms / emission.length_ms)
            if bucket + bucket_ms > span.from_ms and bucket < span.to_ms:
                divided = first_ms + bucket_ms < emission.end_ms
                yield EmissionSum(
                    source=emission.source,
                    start_ms=bucket,
                    kgco2e=so_far - reached,
                    estimated_kgco2e=(so_far - reached) * emission.estimated_share,
                    windows=1,
                    missing=int(emission.kgco2e is None),
                    spread_kgco2e=so_far - reached if divided else 0.0,
                )
            reached = so_far


def summed(sums: Iterable[EmissionSum]) -> list[EmissionSum]:
    """One sum per source and bucket, by bucket and source."""
    found: dict[tuple[int, str], EmissionSum] = {}
    for one in sums:
        key = one.start_ms, one.source
        held = found.get(key)
        found[key] = one if held is None else held + one
    return [found[key] for key in sorted(found)]
