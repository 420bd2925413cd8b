"""Promises of how answers leave."""

from __future__ import annotations

import pytest

from api.answers import takes_gzip


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("GZIP", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("br", False),
        ("identity", False),
        ("", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it_only(accepted: str, taken: bool) -> None:  # noqa: FBT001 - a case
    assert takes_gzip(accepted) is taken
