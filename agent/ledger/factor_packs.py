"""Factor packs on their way to gateways: kept here, and sent to each that is enrolled.

The ledger only carries them. A gateway accepts a pack by the key of its issuer, which is pinned
in its own site file, so that a ledger can withhold a pack but not forge one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from agent.book.database import Database
from agent.book.ports import Owner
from agent.config.factor_pack import FactorPack, open_pack, parsed_sets, reopen_pack
from agent.core.chain import PublicKey
from agent.core.errors import SyncError
from agent.ledger.storage import LedgerStorage
from agent.sync.connection import Connection
from agent.sync.topics import Topics

if TYPE_CHECKING:
    from sqlite3 import Connection as SqliteConnection

log = structlog.get_logger(__name__)

LOOK_S = 5.0  # another process publishes: how often its packs are looked for
REFUSED_FROM = 0x80  # PUBACK reason codes from here on are failures (MQTT 5 section 3.4.2.1)
HEADER_BYTES = 256  # of a packet, besides its payload


class PublishedPacks:
    """The packs of a ledger. Nothing here commits: the caller's transaction decides."""

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection

    def add(self, pack: FactorPack, now_ms: int) -> bool:
        """Store a pack; False if it was published before."""
        cursor = self._connection.execute(
            "INSERT INTO factor_packs (hash, key_id, issuer, serial, published_ms, body) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (pack.hash, pack.key_id, pack.issuer, pack.serial, now_ms, pack.data),
        )
        return cursor.rowcount == 1

    def newest(self) -> int:
        """Number of the pack published last; 0 if there is none."""
        row = self._connection.execute("SELECT max(id) FROM factor_packs").fetchone()
        return row[0] or 0

    def numbers(self) -> list[int]:
        """The numbers of all packs, in the order of publication."""
        return [
            row[0] for row in self._connection.execute("SELECT id FROM factor_packs ORDER BY id")
        ]

    def body(self, number: int) -> bytes:
        """The bytes of a pack."""
        row = self._connection.execute(
            "SELECT body FROM factor_packs WHERE id = ?", (number,)
        ).fetchone()
        return bytes(row[0])


def publish(
    database: Database, data: bytes, key: PublicKey | None, now_ms: int
) -> tuple[FactorPack, bool]:
    """Store a pack for every gateway; whether it is new here.

    With ``key`` its signature is checked; gateways check it in any case.

    Raises:
        ProofError: not a pack, or not signed by the key.
        ConfigError: a factor file in it has faults.
    """
    pack = reopen_pack(data) if key is None else open_pack(data, [key])
    parsed_sets(pack)
    with database.transaction() as connection:
        return pack, PublishedPacks(connection).add(pack, now_ms)


class PackCourier:
    """Sends the published packs to gateways, retained, and again to each that comes up.

    A broker retains one message of a topic: the pack published last. A gateway that was away
    gets the earlier ones when it announces itself.
    """

    def __init__(self, database: Database, connection: Connection) -> None:
        self._packs = PublishedPacks(database.connection)
        self._storage = LedgerStorage(database.connection)
        self._connection = connection
        self._sent_to = self._packs.newest()  # gateways announce themselves for what is older
        self._owed: dict[Owner, int] = {}  # the last pack that each has been sent
        self._wake = asyncio.Event()

    def announced(self, owners: Iterable[Owner]) -> None:
        """These gateways have come up and may lack any pack."""
        for owner in owners:
            self._owed[owner] = 0
            self._wake.set()

    async def run(self) -> None:
        """Send what is owed, for ever."""
        while True:
            self._wake.clear()
            self._look()
            for owner in list(self._owed):
                if self._connection.online:
                    await self._send_to(owner)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _look(self) -> None:
        newest = self._packs.newest()
        if newest > self._sent_to:
            for owner, _ in self._storage.enrolled():
                self._owed.setdefault(owner, self._sent_to)
            self._sent_to = newest

    async def _send_to(self, owner: Owner) -> None:
        topic = Topics(site=owner.site, gateway=owner.gateway)["factors"]
        done = self._owed.pop(owner)  # if it comes up again meanwhile, it is owed all of them
        for number in self._packs.numbers():
            if number <= done:
                continue
            body = self._packs.body(number)
            limit = self._connection.maximum_packet_size
            if limit is not None and len(body) + HEADER_BYTES > limit:
                log.warning("ledger.pack_too_large", topic=topic, size=len(body), limit=limit)
                continue
            try:
                reason = await self._connection.publish(topic, body, qos=1, retain=True)
            except SyncError as fault:
                log.info("ledger.pack_not_sent", topic=topic, detail=str(fault))
                self._owed.setdefault(owner, done)
                return
            if reason >= REFUSED_FROM:
                log.warning("ledger.pack_refused", topic=topic, reason=f"0x{reason:02X}")
            done = number
