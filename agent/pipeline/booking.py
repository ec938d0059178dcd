"""Windows of streams into the book, with the emissions of the sources that they feed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.site import SourcePlan
from agent.core.carbon.booking import BookedWindow, emissions_of
from agent.core.model import Emission, Window


class Booking:
    """Gives draft windows their revisions and computes what their sources emitted."""

    def __init__(self, owner: Owner, sources: Iterable[SourcePlan]) -> None:
        self._owner = owner
        self._sources: dict[str, list[SourcePlan]] = {}
        for source in sources:
            self._sources.setdefault(source.section.stream, []).append(source)

    def add(
        self,
        book: SqliteBook,
        drafts: Sequence[Window],
        estimated_shares: Mapping[tuple[str, int], float] = MappingProxyType({}),
    ) -> tuple[list[Window], list[Emission]]:
        """Book windows under their next revisions, and their emissions; returns both.

        ``estimated_shares``, by stream and start, is given where windows are estimated in part.
        """
        windows = self.numbered(book, drafts)
        emissions = self.emissions(book, windows)
        if estimated_shares:
            emissions = [
                replace(
                    emission,
                    estimated_share=estimated_shares[emission.inputs[0][0], emission.start_ms],
                )
                for emission in emissions
            ]
        book.add_windows(self._owner, windows)
        book.add_emissions(self._owner, emissions)
        return windows, emissions

    def numbered(self, book: SqliteBook, drafts: Sequence[Window]) -> list[Window]:
        """The windows with the revisions that they must carry."""
        keys = [(window.stream, window.start_ms, window.length_ms) for window in drafts]
        revisions = book.next_revisions(self._owner, "stream", keys)
        return [
            replace(window, revision=revisions[key])
            for window, key in zip(drafts, keys, strict=True)
        ]

    def emissions(self, book: SqliteBook, windows: Iterable[Window]) -> list[Emission]:
        """The emissions of all sources of the windows, with their revisions."""
        drafts = emissions_of(
            [
                BookedWindow(
                    source=source.id,
                    window=window,
                    factor=source.factor_at(window.start_ms),
                    gases=source.gases_at(window.start_ms),
                    share=source.section.share,
                    uncertainty_activity_pct=source.section.uncertainty_activity_pct or 0.0,
                )
                for window in windows
                for source in self._sources.get(window.stream, ())
                if not self._is_of_another(book, source.id, window)
            ]
        )
        keys = [(draft.source, draft.start_ms, draft.length_ms) for draft in drafts]
        revisions = book.next_revisions(self._owner, "source", keys)
        return [
            replace(draft, revision=revisions[key]) for draft, key in zip(drafts, keys, strict=True)
        ]

    def _is_of_another(self, book: SqliteBook, source: str, window: Window) -> bool:
        """Whether a revised window lies in a time that the source was booked from another stream.

        A source that is moved to another meter keeps what it was booked from before.
        """
        if window.revision == 0:
            return False
        span = Span(from_ms=window.start_ms, to_ms=window.start_ms + 1)
        return any(
            window.stream not in dict(emission.inputs)
            for emission in book.current_emissions(self._owner, span, source)
            if emission.length_ms == window.length_ms
        )
