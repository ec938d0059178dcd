"""Twenty Modbus TCP meters on one endpoint, for benchmarks of the gateway: prints its port."""

from __future__ import annotations

import asyncio
import struct
import time

REGISTERS = 20


def registers(unit: int, now_s: float) -> bytes:
    """A counter of 0.01 kWh in the first two registers, then plausible gauges."""
    counter = int((100_000 + unit * 1000 + now_s * unit * 0.02) * 100) & 0xFFFFFFFF
    words = [counter >> 16, counter & 0xFFFF]
    words += [2300 + unit, 2310 + unit, 2290 + unit, 150, 151, 149, 5000, 95, unit * 72, 0]
    words += [0] * (REGISTERS - len(words))
    return struct.pack(f">{REGISTERS}H", *words)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    started_s = time.monotonic()
    try:
        while True:
            head = await reader.readexactly(12)
            transaction, _, _, unit, _, address, count = struct.unpack(">HHHBBHH", head)
            data = registers(unit, time.monotonic() - started_s)
            data = data[2 * address : 2 * (address + count)]
            writer.write(struct.pack(">HHHBBB", transaction, 0, 3 + len(data), unit, 3, len(data)))
            writer.write(data)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
