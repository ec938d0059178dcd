"""Factor packs between being found and being in force: staged, decided, installed, each told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.book.database import Database
from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.config.factor_install import install, prepare
from agent.config.factor_pack import FactorPack, open_pack, reopen_pack
from agent.core.chain import PublicKey
from agent.core.errors import UsageError
from agent.core.model import Event, Severity
from agent.store.factor_packs import APPROVED, REJECTED, FactorPacks, StoredPack
from agent.store.state import Audit
from agent.web.factor_view import (
    FactorMonth,
    FactorPackView,
    FactorSetChange,
    FactorValueChange,
    PackState,
)

MOST_CHARACTERS = 400  # of a name or note


class FactorDesk:
    """What may be done with factor packs on one gateway's file; each call is one transaction.

    Every method that changes something returns the events it has booked, for those who listen.
    """

    def __init__(self, database: Database, owner: Owner, folder: Path) -> None:
        self._database = database
        self._owner = owner
        self._folder = folder
        self.packs = FactorPacks(database.connection)

    def stage(
        self, pack: FactorPack, summary: Sequence[Mapping[str, Any]], origin: str, now_ms: int
    ) -> list[Event]:
        """Let a verified pack wait for approval; nothing if it is known.

        Raises:
            ProofError: its key has issued this serial with another content, or a newer one.
        """
        with self._database.transaction():
            if not self.packs.stage(pack, summary, origin, now_ms):
                return []
            event = self._event("factors.staged", _short(pack.hash), now_ms, _told(pack, summary))
            self._book(event)
        return [event]

    def refuse(self, subject: str, reason: str, now_ms: int) -> list[Event]:
        """Tell once that something was not taken."""
        with self._database.transaction():
            if not self.packs.tell(subject, reason, now_ms):
                return []
            event = self._event("factors.refused", subject, now_ms, reason)
            self._book(event)
        return [event]

    def reached(self, source: str) -> None:
        """A source can be read: if it fails again, that is told again."""
        with self._database.transaction():
            self.packs.forget(source)

    def keep_preview(self, digest: str, months: Sequence[Mapping[str, Any]]) -> None:
        """Keep what approving a pack would change in what is booked."""
        with self._database.transaction():
            self.packs.keep_preview(digest, months)

    def approve(
        self, digits: str, by: str, note: str, keys: Iterable[PublicKey], now_ms: int
    ) -> tuple[StoredPack, list[Event]]:
        """Approve a pack that waits and put its files into the site's folder.

        It may be interrupted at any instant and called again: the files are written beside
        their place first, the decision is committed, then the files are renamed.

        Raises:
            UsageError: no such pack, no name, or it cannot be approved any more.
            ProofError: its key is no longer one that packs are accepted from.
            StoreError: the folder or the database cannot be written; nothing is approved.
        """
        by, note = _line("by", by), _line("note", note, empty=True)
        found = self.packs.find(digits)
        events = []
        if found.state != APPROVED:
            self.packs.check_decision(found, APPROVED)
            pack = open_pack(self.packs.body(found.hash), keys)
            prepare(self._folder, pack.sets)
            event = self._event("factors.approved", _short(found.hash), now_ms, by)
            with self._database.transaction() as connection:
                self.packs.decide(found, APPROVED, by, note, now_ms)
                Audit(connection).record(
                    now_ms, by, "factors.approve", found.hash, _detail(found, note)
                )
                self._book(event)
            events.append(event)
        self.finish(now_ms)
        return self.packs.find(found.hash), events

    def reject(self, digits: str, by: str, why: str, now_ms: int) -> tuple[StoredPack, list[Event]]:
        """Reject a pack that waits; it is never staged again.

        Raises:
            UsageError: no such pack, no name or reason, or it does not wait any more.
        """
        by, why = _line("by", by), _line("why", why)
        found = self.packs.find(digits)
        event = self._event("factors.rejected", _short(found.hash), now_ms, f"{by}: {why}")
        with self._database.transaction() as connection:
            self.packs.decide(found, REJECTED, by, why, now_ms)
            Audit(connection).record(now_ms, by, "factors.reject", found.hash, _detail(found, why))
            self._book(event)
        return self.packs.find(found.hash), [event]

    def finish(self, now_ms: int) -> list[str]:
        """Install what was approved and is not in its place yet; returns the hashes.

        Raises:
            StoreError: the folder cannot be written.
        """
        done = []
        for approved in self.packs.not_installed():
            # its signature was checked when it was approved; the key may be gone by now
            install(self._folder, reopen_pack(self.packs.body(approved.hash)).sets)
            with self._database.transaction():
                self.packs.mark_installed(approved.hash, now_ms)
            done.append(approved.hash)
        return done

    def _event(self, code: str, subject: str, now_ms: int, detail: str) -> Event:
        waits = code in ("factors.staged", "factors.refused")
        return Event(
            time_ms=now_ms,
            code=code,
            subject=subject,
            severity=Severity.WARNING if waits else Severity.INFO,
            detail=detail,
        )

    def _book(self, event: Event) -> None:
        SqliteBook(self._database.connection).add_events(self._owner, [event])


def pack_view(pack: StoredPack) -> FactorPackView:
    """A pack as pages and API show it."""
    months = pack.preview
    return FactorPackView(
        hash=pack.hash,
        issuer=pack.issuer,
        key_id=pack.key_id,
        serial=pack.serial,
        issued=pack.issued,
        note=pack.note,
        origin=pack.origin,
        found_ms=pack.found_ms,
        state=PackState(pack.state),
        sets=tuple(_set_change(one) for one in pack.summary),
        months=None if months is None else tuple(_month(one) for one in months),
        decided_by=pack.decided_by,
        decided_ms=pack.decided_ms,
        reason=pack.reason,
        installed_ms=pack.installed_ms,
    )


def _set_change(one: Mapping[str, Any]) -> FactorSetChange:
    changes = tuple(
        FactorValueChange(
            row=change["row"],
            field=change["field"],
            old=str(change["old"]),
            new=str(change["new"]),
            change_pct=change["change_pct"],
        )
        for change in one["changes"]
    )
    return FactorSetChange(**{**one, "changes": changes})


def _month(one: Mapping[str, Any]) -> FactorMonth:
    return FactorMonth(
        source=one["source"],
        month=one["month"],
        windows=one["windows"],
        before_kgco2e=one["before_kgco2e"],
        after_kgco2e=one["after_kgco2e"],
    )


def _told(pack: FactorPack, summary: Sequence[Mapping[str, Any]]) -> str:
    """A staged pack in one line: `event_text` reads it, so its form is fixed."""
    sets = ", ".join(f"{one['kind']} {one['id']}" for one in summary)
    changed = sum(one["changed"] + one["added"] + one["removed"] for one in summary)
    return f"issuer={pack.issuer}; serial={pack.serial}; rows={changed}; sets={sets}"


def _short(digest: str) -> str:
    return digest[:12]


def _detail(pack: StoredPack, note: str) -> str:
    return f"{pack.issuer} serial {pack.serial}, key {pack.key_id}" + (f": {note}" if note else "")


def _line(key: str, text: str, *, empty: bool = False) -> str:
    text = text.strip()
    if len(text) > MOST_CHARACTERS or not text.isprintable() or not (text or empty):
        raise UsageError(
            f"is not one line of at most {MOST_CHARACTERS} characters",
            where=key,
            hint="say who decides" if key == "by" else "say why in a few words",
        )
    return text
