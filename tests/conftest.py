"""Registers the fixture plugins, nothing more."""

from __future__ import annotations

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.timescale",
    "tests.fixtures.broker",
    "tests.fixtures.service",
]
