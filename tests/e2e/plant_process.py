"""`python -m tests.e2e.plant_process SITE_FILE WINDOW_S SEED`: a plant that takes faults by line.

Every line on its standard input is a fault that begins at once; the end of the input ends it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent.cli.plant import write_whole
from drivers.virtual.plant import Plant, fill_site


async def main(site_file: Path, window_s: int, seed: int) -> None:
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with Plant(seed=seed) as plant:
        write_whole(site_file, fill_site(plant, window_s, ""))
        while line := await lines.readline():
            plant.faults.switch_on(line.decode().strip())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
