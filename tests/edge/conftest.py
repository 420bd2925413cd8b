"""Fixtures that the agent's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    """Yield an outbox for one destination."""
    outbox = Outbox(tmp_path / "outbox.sqlite", most_bytes=16 << 20, keep_us=10**15)
    yield outbox
    outbox.close()


@pytest.fixture
def two_ends(tmp_path: Path) -> Iterator[Outbox]:
    """Yield an outbox for two data centres."""
    outbox = Outbox(
        tmp_path / "outbox.sqlite",
        most_bytes=16 << 20,
        keep_us=10**15,
        destinations=("main", "province"),
    )
    yield outbox
    outbox.close()
