"""Factor packs on their way to approval. Nothing here commits: the caller's transaction decides."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.config.factor_pack import FactorPack
from agent.core.errors import ProofError, UsageError

if TYPE_CHECKING:
    from sqlite3 import Connection

STAGED, APPROVED, REJECTED, SUPERSEDED = "staged", "approved", "rejected", "superseded"
MOST_REFUSALS = 500
LEAST_DIGITS = 8

_COLUMNS = (
    "hash, key_id, issuer, serial, issued, note, summary, preview, origin, found_ms, state, "
    "decided_by, decided_ms, reason, installed_ms"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPack:
    """A pack and what was decided about it; ``summary`` says what each set changes."""

    hash: str
    key_id: str
    issuer: str
    serial: int
    issued: str
    note: str
    summary: Sequence[Mapping[str, Any]]
    preview: Sequence[Mapping[str, Any]] | None  # None until it is computed
    origin: str
    found_ms: int
    state: str
    decided_by: str
    decided_ms: int | None
    reason: str
    installed_ms: int | None

    @property
    def sets(self) -> frozenset[tuple[str, str]]:
        """Kind and id of each set in it."""
        return frozenset((one["kind"], one["id"]) for one in self.summary)


class FactorPacks:
    """The packs of a gateway and the refusals that it has told."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[StoredPack]:
        """Every pack, the latest first."""
        return self._select("ORDER BY found_ms DESC, serial DESC")

    def waiting(self) -> list[StoredPack]:
        """The packs that wait for an approval, in the order in which they are to be decided."""
        return self._select("WHERE state = 'staged' ORDER BY key_id, serial")

    def find(self, digits: str) -> StoredPack:
        """The pack whose hash begins with these hex digits.

        Raises:
            UsageError: none does, or several do.
        """
        wanted = digits.lower()
        found = [pack for pack in self.all() if pack.hash.startswith(wanted)]
        if len(wanted) < LEAST_DIGITS:
            raise UsageError(
                f"{digits!r} is too short", where="hash", hint=f"{LEAST_DIGITS} or more hex digits"
            )
        if len(found) == 1:
            return found[0]
        several = "several packs begin" if found else "no pack of this gateway begins"
        raise UsageError(
            f"{several} with {digits[:64]!r}", where="hash", hint="see `tanshu factors packs`"
        )

    def body(self, digest: str) -> bytes:
        """The bytes of a pack that is stored."""
        row = self._connection.execute(
            "SELECT body FROM factor_packs WHERE hash = ?", (digest,)
        ).fetchone()
        return bytes(row[0])

    def hashes(self) -> frozenset[str]:
        """The hashes of every pack that was ever staged."""
        return frozenset(
            row[0] for row in self._connection.execute("SELECT hash FROM factor_packs")
        )

    def stage(
        self, pack: FactorPack, summary: Sequence[Mapping[str, Any]], origin: str, now_ms: int
    ) -> bool:
        """Let a verified pack wait for approval; False if it is known already.

        Raises:
            ProofError: its key has issued this serial with another content, or a newer one.
        """
        if pack.hash in self.hashes():
            return False
        self._check_serial(pack)
        sets = {(one["kind"], one["id"]) for one in summary}
        for older in self.waiting():
            if older.key_id == pack.key_id and older.sets <= sets:
                self._set_state(older.hash, SUPERSEDED, "", f"by serial {pack.serial}", now_ms)
        self._connection.execute(
            "INSERT INTO factor_packs (hash, key_id, issuer, serial, issued, note, summary, body, "
            "origin, found_ms, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                pack.hash,
                pack.key_id,
                pack.issuer,
                pack.serial,
                pack.issued,
                pack.note,
                json.dumps(summary, ensure_ascii=False),
                pack.data,
                origin,
                now_ms,
                STAGED,
            ),
        )
        return True

    def keep_preview(self, digest: str, preview: Sequence[Mapping[str, Any]]) -> None:
        """What approving the pack would change, per source and month."""
        self._connection.execute(
            "UPDATE factor_packs SET preview = ? WHERE hash = ?",
            (json.dumps(preview, ensure_ascii=False), digest),
        )

    def check_decision(self, pack: StoredPack, state: str) -> None:
        """Refuse a decision that cannot be taken.

        Raises:
            UsageError: the pack does not wait any more, or an older one of its key comes first.
        """
        if pack.state != STAGED:
            who = f" by {pack.decided_by}" if pack.decided_by else ""
            raise UsageError(
                f"pack {pack.hash[:12]} is {pack.state}{who} and cannot become {state}",
                where="hash",
                hint="the issuer may make a new pack of a higher serial",
            )
        older = next(one for one in self.waiting() if one.key_id == pack.key_id)
        if state == APPROVED and older.serial < pack.serial:
            raise UsageError(
                f"pack {older.hash[:12]} (serial {older.serial}) of this issuer waits too",
                where="hash",
                hint="approve or reject that one first: packs hold in the order of their serials",
            )

    def decide(self, pack: StoredPack, state: str, by: str, reason: str, now_ms: int) -> None:
        """Approve or reject a pack that waits; raises as `check_decision` does."""
        self.check_decision(pack, state)
        self._set_state(pack.hash, state, by, reason, now_ms)

    def not_installed(self) -> list[StoredPack]:
        """Approved packs whose files may not be in their place yet, in the order of approval."""
        return self._select(
            "WHERE state = 'approved' AND installed_ms IS NULL ORDER BY decided_ms, serial"
        )

    def mark_installed(self, digest: str, now_ms: int) -> None:
        """Note that the files of a pack are in their place."""
        self._connection.execute(
            "UPDATE factor_packs SET installed_ms = ? WHERE hash = ?", (now_ms, digest)
        )

    def tell(self, subject: str, reason: str, now_ms: int) -> bool:
        """Note a refusal; False if it was told before."""
        new = self._connection.execute(
            "INSERT INTO factor_refusals (subject, reason, told_ms) VALUES (?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (subject, reason, now_ms),
        ).rowcount
        self._connection.execute(
            "DELETE FROM factor_refusals WHERE (subject, reason) IN (SELECT subject, reason "
            "FROM factor_refusals ORDER BY told_ms DESC LIMIT -1 OFFSET ?)",
            (MOST_REFUSALS,),
        )
        return bool(new)

    def forget(self, subject: str) -> None:
        """A subject is well again: its next refusal is told."""
        self._connection.execute("DELETE FROM factor_refusals WHERE subject = ?", (subject,))

    def _select(self, which: str) -> list[StoredPack]:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM factor_packs {which}")
        return [_stored(row) for row in rows]

    def _check_serial(self, pack: FactorPack) -> None:
        newest, same = self._connection.execute(
            "SELECT max(serial), max(serial = ?) FROM factor_packs WHERE key_id = ?",
            (pack.serial, pack.key_id),
        ).fetchone()
        if same:
            raise ProofError(
                f"another pack of the same key has serial {pack.serial} too",
                hint="ask the issuer: a serial is given once only",
            )
        if newest is not None and pack.serial < newest:
            raise ProofError(
                f"serial {pack.serial} is older than {newest}, which this key has issued since",
                hint="an old pack cannot come back; take it away from the source",
            )

    def _set_state(self, digest: str, state: str, by: str, reason: str, now_ms: int) -> None:
        self._connection.execute(
            "UPDATE factor_packs SET state = ?, decided_by = ?, reason = ?, decided_ms = ? "
            "WHERE hash = ?",
            (state, by, reason, now_ms, digest),
        )


def _stored(row: Sequence[Any]) -> StoredPack:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    preview = values["preview"]
    values["summary"] = json.loads(values["summary"])
    values["preview"] = None if preview is None else json.loads(preview)
    return StoredPack(**values)
