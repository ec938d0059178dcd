"""A booked site per test, closed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from report_month import BookedSite


@pytest.fixture
def booked(tmp_path: Path) -> Iterator[BookedSite]:
    site = BookedSite(tmp_path)
    try:
        yield site
    finally:
        site.close()
