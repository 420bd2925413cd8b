"""Promises of the live stream's fan-out, with a clock in hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.live import CLOSE, FRESH_S, MOST_QUEUED, RESUME_S, Client, FullError, Hub
from api.metrics import Metrics
from tests.api.heard import next_text

ALL = frozenset({"*"})
QINGHAI = frozenset({"jurisdiction:cn-qh"})
NINGXIA = frozenset({"site:nx-fa"})


def _view(unit: str, power: int = 0) -> dict[str, Any]:
    site, _, _ = unit.partition(".")
    code = {"gh-al": "cn-qh", "nx-fa": "cn-nx"}[site]
    return {"unit": unit, "site": site, "jurisdiction": code, "power": power}


def _publish(hub: Hub, now: float, *views: dict[str, Any]) -> None:
    hub.publish({view["unit"]: view for view in views}, now)


def _take(client: Client) -> list[tuple[str, str | None, Any]]:
    """Empty the queue and return (event, id, data) of each."""
    found = []
    while not client.queue.empty():
        fields = dict(line.split(": ", 1) for line in next_text(client).splitlines() if line)
        found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return found


def _units(client: Client) -> list[str]:
    return [item["unit"] for _, _, data in _take(client) for item in data.get("items", [])]


def test_a_client_sees_the_units_of_its_scope_and_no_other() -> None:
    hub = Hub(Metrics())
    whole, qinghai, ningxia = (hub.join(scope, None, 0) for scope in (ALL, QINGHAI, NINGXIA))
    _publish(hub, 1, _view("gh-al.potline-1"), _view("nx-fa.furnace-1"))
    assert _units(whole) == ["gh-al.potline-1", "nx-fa.furnace-1"]
    assert _units(qinghai) == ["gh-al.potline-1"]
    assert _units(ningxia) == ["nx-fa.furnace-1"]


def test_what_another_scope_hears_makes_no_hole_in_the_numbers() -> None:
    hub = Hub(Metrics())
    client = hub.join(NINGXIA, None, 0)
    for now in range(3):
        _publish(hub, now, _view("gh-al.potline-1", now))
    _publish(hub, 4, _view("nx-fa.furnace-1"))
    events = _take(client)
    numbers = [int(str(event_id).partition("-")[2]) for _, event_id, _ in events]
    assert numbers == [0, 1]


def test_of_a_unit_told_before_only_what_changed_is_sent() -> None:
    hub = Hub(Metrics())
    client = hub.join(ALL, None, 0)
    _publish(hub, 1, _view("gh-al.potline-1", 1))
    _publish(hub, 2, _view("gh-al.potline-1", 2))
    whole, change = [data["items"] for _, _, data in _take(client)][1:]
    assert whole == [_view("gh-al.potline-1", 1)]
    assert change == [{"unit": "gh-al.potline-1", "power": 2}]


def test_a_unit_that_moves_to_another_scope_is_told_whole() -> None:
    hub = Hub(Metrics())
    _publish(hub, 1, _view("gh-al.potline-1", 1))
    client = hub.join(NINGXIA, None, 1)
    _take(client)
    moved = _view("gh-al.potline-1", 1) | {"site": "nx-fa"}
    _publish(hub, 2, moved)
    assert [data["items"] for _, _, data in _take(client)] == [[moved]]


def test_clients_of_one_scope_get_the_same_bytes() -> None:
    hub = Hub(Metrics())
    first, second = hub.join(ALL, None, 0), hub.join(ALL, None, 0)
    _take(first), _take(second)
    _publish(hub, 1, _view("gh-al.potline-1"))
    assert first.queue.get_nowait() is second.queue.get_nowait()


def test_a_client_that_does_not_read_loses_its_queue_and_is_told_to_resync() -> None:
    metrics = Metrics()
    hub = Hub(metrics)
    slow, healthy = hub.join(ALL, None, 0), hub.join(ALL, None, 0)
    for now in range(10):
        _publish(hub, now, _view("gh-al.potline-1", now))
        assert _units(healthy)[-1:] == ["gh-al.potline-1"]
        assert slow.queue.qsize() <= MOST_QUEUED
    assert "resync" in [event for event, _, _ in _take(slow)]
    assert metrics.value("danhao_live_resyncs_total") >= 1


def test_a_client_that_comes_back_in_time_gets_what_it_missed_once() -> None:
    hub = Hub(Metrics())
    client = hub.join(ALL, None, 0)
    _publish(hub, 1, _view("gh-al.potline-1", 1))
    last = str(_take(client)[-1][1])
    hub.leave(client, 1)
    _publish(hub, 2, _view("nx-fa.furnace-1", 2))
    _publish(hub, 3, _view("nx-fa.furnace-1", 3))
    again = hub.join(ALL, last, RESUME_S)
    ((event, event_id, data),) = _take(again)
    assert event == "units"
    assert data["items"] == [_view("nx-fa.furnace-1", 3)]
    assert event_id == f"{last.partition('-')[0]}-3"


@pytest.mark.parametrize("last_id", ["", "-", "cafe-1", "x", "1-1-1", "cafe-" + "9" * 40])
def test_an_id_that_is_not_ours_is_never_trusted(last_id: str) -> None:
    hub = Hub(Metrics())
    assert _take(hub.join(ALL, last_id, 0))[0][0] == "resync"


def test_an_id_older_than_the_buffer_is_told_to_resync() -> None:
    hub = Hub(Metrics())
    keeper, client = hub.join(ALL, None, 0), hub.join(ALL, None, 0)
    _publish(hub, 1, _view("gh-al.potline-1", 1))
    last = _take(client)[-1][1]
    hub.leave(client, 1)
    for now in range(2, 400):
        _publish(hub, now, _view("gh-al.potline-1", now))
        _take(keeper)
    assert _take(hub.join(ALL, last, 400))[0][0] == "resync"
    assert len(keeper.channel.seen) <= RESUME_S + 2


def test_an_id_of_another_scope_is_told_to_resync() -> None:
    hub = Hub(Metrics())
    client = hub.join(ALL, None, 0)
    _publish(hub, 1, _view("gh-al.potline-1"))
    assert _take(hub.join(NINGXIA, _take(client)[-1][1], 2))[0][0] == "resync"


def test_a_fresh_client_gets_what_changed_while_it_fetched_the_list() -> None:
    hub = Hub(Metrics())
    hub.join(ALL, None, 0)
    _publish(hub, 1, _view("gh-al.potline-1"))
    _publish(hub, 1 + FRESH_S, _view("nx-fa.furnace-1"))
    assert _units(hub.join(QINGHAI, None, 1 + FRESH_S)) == ["gh-al.potline-1"]
    assert _units(hub.join(ALL, None, 2 + FRESH_S)) == ["nx-fa.furnace-1"]


def test_streams_are_bounded_and_a_place_is_free_again_once_left() -> None:
    metrics = Metrics()
    hub = Hub(metrics, most_clients=2)
    first, _ = hub.join(ALL, None, 0), hub.join(NINGXIA, None, 0)
    with pytest.raises(FullError):
        hub.join(ALL, None, 0)
    hub.leave(first, 0)
    hub.leave(first, 0)
    assert hub.clients == 1
    hub.join(ALL, None, 0)
    assert metrics.value("danhao_live_refused_total") == 1


def test_closing_ends_every_stream_also_one_that_does_not_read() -> None:
    hub = Hub(Metrics())
    client = hub.join(ALL, None, 0)
    for now in range(10):
        _publish(hub, now, _view("gh-al.potline-1", now))
    hub.close()
    assert client.queue.get_nowait() is CLOSE
    assert client.queue.empty()
    late = hub.join(ALL, None, 20)
    assert late.queue.get_nowait() is CLOSE


def test_the_heartbeat_says_the_instant_and_has_no_id() -> None:
    hub = Hub(Metrics())
    client = hub.join(ALL, None, 0)
    _take(client)
    hub.heartbeat(1_000_000)
    assert _take(client) == [("heartbeat", None, {"at": "1970-01-01T00:00:01Z"})]


def test_units_that_are_declared_no_more_make_everybody_fetch_again() -> None:
    hub = Hub(Metrics())
    client = hub.join(ALL, None, 0)
    _publish(hub, 1, _view("gh-al.potline-1"))
    _take(client)
    hub.forget_units({"gh-al.potline-1"})
    assert _take(client)[0][0] == "resync"
    assert _units(hub.join(ALL, None, 2)) == []


def test_scopes_nobody_watches_are_forgotten() -> None:
    hub = Hub(Metrics())
    for number in range(50):
        now = number * (RESUME_S + 1)
        hub.leave(hub.join(frozenset({f"site:s{number}"}), None, now), now)
    assert len(hub._channels) == 1


def test_a_unit_is_told_whole_again_now_and_then_and_not_all_at_once() -> None:
    hub = Hub(Metrics())
    client = hub.join(ALL, None, 0)
    units = [f"gh-al.pot-{number}" for number in range(200)]
    whole: list[int] = []
    for now in range(0, 500, 5):
        _publish(hub, now, *(_view(unit, now) for unit in units))
        ((_, _, data),) = _take(client)[-1:]
        whole.append(sum("site" in item for item in data["items"]))
    assert whole[0] == len(units)
    assert sum(whole[1:]) >= len(units)
    assert max(whole[1:]) <= len(units) / 10
