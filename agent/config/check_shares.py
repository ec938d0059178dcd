"""Whether sources take more of a meter than it counts."""

from __future__ import annotations

from collections.abc import Mapping

from agent.config.check_sources import Plans, stream_named
from agent.config.draft import Draft
from agent.config.site import PeriodSource, SourcePlan

_SHARE_TOLERANCE = 1e-9


def warn_of_double_use(
    draft: Draft,
    sources: Mapping[str, SourcePlan],
    period_sources: Mapping[str, PeriodSource],
    plans: Plans,
) -> None:
    """Warn where sources take more of a meter than it counts.

    The registers of one instrument that count one unit are one amount; points that the site file
    itself lists may be instruments of their own, behind a server.
    """
    taken = [
        (one.id, one.section.stream, one.section.share)
        for one in sources.values()
        if one.section.kind != "cems"
    ]
    taken += [
        (one.id, feed.stream, feed.share)
        for one in period_sources.values()
        for feed in one.feeds
        if feed.stream
    ]
    users: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for source, name, share in taken:
        plan = plans.get(name.partition(".")[0])
        meter = plan.id if plan and plan.section.template else name
        unit = stream_named(draft, name, plans).unit
        users.setdefault((meter, unit), []).append((source, share))
    for (meter, unit), sharing in users.items():
        total = sum(share for _, share in sharing)
        if total > 1 + _SHARE_TOLERANCE:
            names = ", ".join(source for source, _ in sharing)
            draft.faults.add(
                f"source[{sharing[-1][0]}].share",
                f"{total:.0%} of the {unit} of meter {meter} are booked, by {names}",
                "shares of one meter that add up to at most 1",
                warning=True,
            )
