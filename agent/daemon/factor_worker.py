"""A short-lived process that looks for factor packs, or foresees what one of them changes.

It takes one job as JSON on standard input and writes one JSON line for each thing it finds. A
share that hangs, a slow server and a long table cost the process that polls nothing.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.clock import SystemClock
from agent.config.factor_pack import open_pack
from agent.core.chain import PublicKey
from agent.core.errors import TanshuError
from agent.daemon.factor_look import (
    Candidate,
    Found,
    Trouble,
    look_at_index,
    look_in_folder,
    look_on_media,
)
from agent.daemon.factor_review import differences, foreseen_of, summary_of

NICE = 10


def candidates(job: dict[str, Any]) -> Found:
    """What the source of a job holds."""
    known = frozenset(job["known"])
    if "given" in job:
        data = base64.b64decode(job["given"])
        return iter([Candidate(origin=job["origin"], name="", data=data)])
    if "media" in job:
        return look_on_media(job["media"], known)
    if "folder" in job:
        return look_in_folder(Path(job["folder"]), known)
    return look_at_index(job["index"], job["ca"], known, SystemClock().monotonic_ns)


def checked(found: Candidate, keys: list[PublicKey]) -> dict[str, Any]:
    """A candidate as the gateway stages it, or why it is refused."""
    try:
        pack = open_pack(found.data, keys, name=found.name or None)
        summary = summary_of(differences(pack))
    except TanshuError as error:
        subject = f"{found.origin}/{found.name}" if found.name else found.origin
        return asdict(Trouble(subject=subject, reason=str(error)))
    return {
        "origin": found.origin,
        "summary": summary,
        "pack": base64.b64encode(pack.data).decode("ascii"),
    }


def answers(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines that answer a job."""
    keys = [PublicKey.from_text(text) for text in job["keys"]]
    if "preview" in job:
        pack = open_pack(base64.b64decode(job["preview"]), keys)
        yield {"months": [asdict(month) for month in foreseen_of(Path(job["site"]), pack)]}
        return
    for found in candidates(job):
        yield asdict(found) if isinstance(found, Trouble) else checked(found, keys)


def main() -> int:
    os.nice(NICE)
    try:
        for answer in answers(json.load(sys.stdin)):
            sys.stdout.write(json.dumps(answer, ensure_ascii=False, default=str) + "\n")
            sys.stdout.flush()
    except TanshuError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
