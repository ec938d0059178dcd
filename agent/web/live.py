"""Live values as server-sent events: what changed since the last message, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import msgspec

from agent.config.language import Language
from agent.core.errors import TanshuError
from agent.web.present import Presenter, site_zone
from agent.web.recent import RecentView
from agent.web.texts import Scope, Texts, page_structure, page_texts
from agent.web.view import DeviceDetail, Snapshot

RETRY_MS = 3000
FRAMES_KEPT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a live stream is about."""

    scope: Scope
    device: str | None
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a subject shows at one snapshot."""

    snapshot: Snapshot
    detail: DeviceDetail | None
    texts: Texts
    structure: str


class LiveFrames:
    """The latest frame of every subject, worked out once for all who watch it."""

    def __init__(self, recent: RecentView, languages: Mapping[str, Language]) -> None:
        self._recent = recent
        self._languages = languages
        self._frames: dict[Subject, Frame] = {}

    async def latest(self, subject: Subject) -> Frame:
        snapshot = await self._recent.snapshot()
        detail = await self._recent.device(subject.device) if subject.device else None
        frame = self._frames.get(subject)
        if frame is not None and frame.snapshot is snapshot and frame.detail is detail:
            return frame
        text = self._languages[subject.language]
        say = Presenter(text=text, zone=site_zone(snapshot.site.timezone))
        frame = Frame(
            snapshot=snapshot,
            detail=detail,
            texts=page_texts(subject.scope, snapshot, detail, say),
            structure=page_structure(subject.scope, snapshot, detail),
        )
        self._frames.pop(subject, None)
        while len(self._frames) >= FRAMES_KEPT:
            self._frames.pop(next(iter(self._frames)))
        self._frames[subject] = frame
        return frame


async def live_messages(
    frames: LiveFrames, subject: Subject, *, period_s: float, stop: asyncio.Event
) -> AsyncIterator[bytes]:
    """Server-sent events until ``stop`` is set or the client goes away.

    `structure` carries a fingerprint: when it differs from the page's own, the page is out of
    date. `values` carries the texts that changed; the first message has all of them.
    """
    yield b"retry: %d\n\n" % RETRY_MS
    sent: Texts = {}
    structure = ""
    while not stop.is_set():
        try:
            frame = await frames.latest(subject)
        except TanshuError as error:
            yield _event("failure", msgspec.json.encode({"what": error.what, "hint": error.hint}))
            return
        changed = {key: text for key, text in frame.texts.items() if sent.get(key) != text}
        if frame.structure != structure:
            structure = frame.structure
            yield _event("structure", structure.encode())
        if changed:
            yield _event("values", msgspec.json.encode(changed))
        sent = frame.texts
        await _pause(stop, period_s)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _event(name: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)
