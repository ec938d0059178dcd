"""Live values as server-sent events: what changed since the last message, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from agent.config.language import Language
from agent.core.errors import TanshuError
from agent.web.present import Presenter, site_zone
from agent.web.recent import RecentView
from agent.web.texts import Scope, Texts, page_structure, page_texts

RETRY_MS = 3000


async def live_messages(
    recent: RecentView,
    *,
    scope: Scope,
    device: str | None,
    text: Language,
    period_s: float,
    stop: asyncio.Event,
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
            snapshot = await recent.snapshot()
            detail = await recent.device(device) if device else None
        except TanshuError as error:
            yield _event("failure", msgspec.json.encode({"what": error.what, "hint": error.hint}))
            return
        texts = page_texts(
            scope, snapshot, detail, Presenter(text=text, zone=site_zone(snapshot.site.timezone))
        )
        changed = {key: value for key, value in texts.items() if sent.get(key) != value}
        now = page_structure(scope, snapshot, detail)
        if now != structure:
            structure = now
            yield _event("structure", now.encode())
        if changed:
            yield _event("values", msgspec.json.encode(changed))
        sent = texts
        await _pause(stop, period_s)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _event(name: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)
