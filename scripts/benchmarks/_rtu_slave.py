"""Ten slaves without turnaround time on a pseudo-terminal whose line takes the baud rate's time.

The benchmark `rtu` runs it as a process of its own: `_rtu_slave.py BAUD FIFO DEAD_UNITS`. It prints
the port, and when its input ends, what the line counted as JSON.
"""

from __future__ import annotations

import json
import os
import select
import struct
import sys
import time
import tty
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from drivers.virtual.line import BadRequestError, Line, Reply, crc16, framed

BITS_PER_CHARACTER = 10


def play(baud: int, fifo: int, dead: frozenset[int]) -> None:
    def respond(frame: bytes, _taken_s: float) -> Reply | None:
        if len(frame) != 8 or crc16(frame) != 0:
            raise BadRequestError
        unit, function, address, count = struct.unpack(">BBHH", frame[:6])
        if unit in dead:
            return None
        words = [(unit << 12 | (address + at) & 0xFFF) & 0xFFFF for at in range(count)]
        pdu = struct.pack(f">BB{count}H", function, 2 * count, *words)
        return Reply(unit=unit, frame=framed(unit, pdu))

    line = Line(
        baud=baud, bits_per_char=BITS_PER_CHARACTER, turnaround_s=0.0, fifo=fifo, respond=respond
    )
    master, slave = os.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)
    while True:
        if data := line.advance(time.monotonic()):
            os.write(master, data)
        due_s = line.next_event_s()
        wait_s = 0.1 if due_s is None else min(0.1, max(0.0, due_s - time.monotonic()))
        ready, _, _ = select.select([master, sys.stdin], [], [], wait_s)
        if master in ready:
            now_s = time.monotonic()
            data = os.read(master, 4096)
            if out := line.advance(now_s):
                os.write(master, out)
            line.receive(now_s, data)
        if sys.stdin in ready:
            break
    print(json.dumps(asdict(line.stats)), flush=True)


if __name__ == "__main__":
    play(
        int(sys.argv[1]),
        int(sys.argv[2]),
        frozenset(int(unit) for unit in sys.argv[3].split(",") if unit),
    )
