"""What a review needs of a month, on its way from the worker to the gateway."""

from __future__ import annotations

import json

from agent.book.reviews import ReviewBasis
from agent.core.report.month import Month

BASIS = "basis"  # asked of the worker instead of a form


def basis_bytes(basis: ReviewBasis) -> bytes:
    return json.dumps(
        {
            "month": str(basis.month),
            "complete": basis.complete,
            "figures": basis.figures,
            "findings": basis.findings,
        }
    ).encode()


def basis_of(data: bytes) -> ReviewBasis:
    """The basis that a worker wrote."""
    read = json.loads(data)
    return ReviewBasis(
        month=Month.parse(read["month"]),
        complete=read["complete"],
        figures=read["figures"],
        findings=tuple(read["findings"]),
    )
