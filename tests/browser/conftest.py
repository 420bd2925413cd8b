"""The built page, a browser and a canned server for the tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import hatch_build
from tests.browser import canned, chromium
from tests.browser.server import CannedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

ROOT: Final = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def static() -> Path:
    """Return the folder of the built page, built now if it is not up to date."""
    hatch_build.build(ROOT)
    return ROOT / hatch_build.SOURCE / "static"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the page's source with its locked npm packages installed."""
    source = ROOT / hatch_build.SOURCE
    folder = tmp_path_factory.mktemp("page") / "web"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("node_modules", "static"))
    hatch_build.install_packages(folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Chromium of the distribution; skip where there is none.

    Of one module and no longer: while it runs, an event loop runs in this thread, and the
    asynchronous tests of other modules could not run theirs.
    """
    with chromium.launched() as running:
        yield running


@pytest.fixture
def server(static: Path) -> Iterator[CannedServer]:
    """Return a server of eight canned units."""
    with CannedServer(static, canned.MAIN_UNITS) as running:
        yield running


@pytest.fixture
def crowded(static: Path) -> Iterator[CannedServer]:
    """Return a server of 608 canned units."""
    with CannedServer(static, canned.MAIN_UNITS + canned.pots(600)) as running:
        yield running
