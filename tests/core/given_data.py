"""Recorded data that is given beside the repository; tests that need it skip where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"


def path(name: str) -> Path:
    """Return a given file, or skip the test with the name of what is missing."""
    found = FOLDER / name
    if not found.exists():
        pytest.skip(f"needs ../shared/data/{name}, which is not beside this repository")
    return found
