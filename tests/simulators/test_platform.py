"""The simulated platform: what it takes, what it refuses, and that its faults are by the seed."""

from __future__ import annotations

import json
import threading
import urllib.request
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from simulators import platform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "a key of the tests, long enough"
ENTERPRISE = "91630000MA7000000X"
ROW = {
    "dataCode": "0" * 20,
    "dataValue": "12.5",
    "unit": "kWh",
    "statType": "0",
    "statDate": "2026-11-20 00:15:00",
    "inputType": "1",
    "valid": "1",
}


@contextmanager
def running(folder: Path, faults: platform.Faults | None = None) -> Iterator[platform.Server]:
    with (
        closing(platform.Ledger(folder / "platform.db")) as ledger,
        platform.Server(0, KEY.encode(), ledger, faults or platform.Faults()) as server,
    ):
        worker = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        worker.start()
        try:
            yield server
        finally:
            server.shutdown()
            worker.join(10)


def post(url: str, message: Any) -> dict[str, Any]:
    """Speak to the platform by the names of the document, without any code of the sender."""
    request = urllib.request.Request(url, json.dumps(message).encode())  # noqa: S310 - http of ours
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
        found: dict[str, Any] = json.load(answer)
        return found


def register(server: platform.Server, key: str = KEY) -> dict[str, Any]:
    return post(
        server.url + "/register",
        {
            "enterpriseCode": ENTERPRISE,
            "deviceId": "d",
            "accessKey": key,
            "uploadDate": "2026-11-20 00:30:00",
        },
    )


def data(server: platform.Server, session: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return post(
        server.url + "/service/data",
        {
            "enterpriseCode": ENTERPRISE,
            "accessToken": session,
            "messageId": "m",
            "uploadDate": "2026-11-20 00:30:00",
            "data": list(rows),
        },
    )


def test_a_registered_sender_is_taken_from_and_a_stranger_is_not(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert register(server, "another key of somebody")["responseCode"] == "1001"
        assert data(server, "guessed", ROW)["responseCode"] == "1002"
        given = register(server)
        assert given["serviceAddress"] == f"{server.url}/service"
        assert data(server, given["accessToken"], ROW)["responseCode"] == "0000"
        assert (
            data(server, given["accessToken"], ROW | {"dataValue": "13"})["responseCode"] == "0000"
        )
        (row,) = server.ledger.rows()
        assert (row["value"], row["times"]) == ("13", 2)


@pytest.mark.parametrize(
    "change",
    [
        {"dataCode": "1"},
        {"statType": "9"},
        {"valid": "2"},
        {"dataValue": "NaN"},
        {"dataValue": 12.5},
        {"statDate": "2026-11-20 00:14:59"},
        {"statDate": "2026-11-20"},
        {"colour": "red"},
    ],
)
def test_a_bad_row_spoils_its_message_and_nothing_of_it_is_kept(
    change: dict[str, Any], tmp_path: Path
) -> None:
    with running(tmp_path) as server:
        session = register(server)["accessToken"]
        assert data(server, session, ROW, ROW | change)["responseCode"] == "1001"
        assert server.ledger.rows() == []


def test_faults_are_by_the_seed() -> None:
    def story(seed: int) -> list[str]:
        faults = platform.Faults(0.5, seed)
        return [faults.next() for _ in range(200)]

    assert story(3) == story(3) != story(4)
    assert set(story(3)) == {"", *platform.FAULTS}
    assert {platform.Faults(0.0, 3).next() for _ in range(50)} == {""}


def test_what_was_accepted_outlives_the_platform(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        data(server, register(server)["accessToken"], ROW)
    with running(tmp_path) as server:
        assert [row["label"] for row in server.ledger.rows()] == ["2026-11-20 00:15:00"]
        with urllib.request.urlopen(server.url + "/rows", timeout=10) as answer:  # noqa: S310 - ours
            assert len(json.load(answer)["items"]) == 1
