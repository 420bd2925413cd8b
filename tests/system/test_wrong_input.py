"""Wrong input gets a sentence or a dead letter with its reason, and the path goes on."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import aiomqtt
import httpx
import pytest

from core.clock import utc_now
from tests.fixtures.service import Service, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

pytestmark = pytest.mark.system

PLANT = """
[site.s]
name = { zh = "厂", en = "Site" }
jurisdiction = "cn-qh"
[site.s.agent.gw-01]
[site.s.unit.u]
name = { zh = "系列", en = "Potline" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac"]
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
[site.t]
name = { zh = "他厂", en = "Other" }
jurisdiction = "cn-qh"
[site.t.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
[site.t.unit.u]
name = { zh = "系列", en = "Potline" }
kind = "potline"
"""
AT = datetime(2026, 10, 1, tzinfo=UTC)


def reading(point: str = "s.u.ac", at: datetime | str = AT, value: object = 1) -> dict[str, object]:
    stamp = at if isinstance(at, str) else at.isoformat()
    return {"point": point, "measured_at": stamp, "value": value}


def envelope(*rows: object, **more: object) -> bytes:
    return json.dumps({"agent": "gw-01", "readings": rows} | more).encode()


async def send(service: Service, messages: Iterable[tuple[str, bytes]]) -> None:
    where = service.endpoints
    port = int(where["mqtt"].rpartition(":")[2])
    async with aiomqtt.Client(
        "127.0.0.1",
        port,
        username=where["mqtt_username"],
        password=where["mqtt_password"],
        identifier="wrong-input",
        timeout=30,
    ) as client:
        for topic, payload in messages:
            await client.publish(topic, payload, qos=1, timeout=30)


def test_each_wrong_message_is_a_dead_letter_and_the_next_reading_arrives(
    service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(PLANT, "utf-8")
    service.apply(file)
    topic = "danhao/v1/s/gw-01/readings"
    wrong = {
        "unreadable": [(topic, b"{not json"), (topic, b"\xff\xfe\x00garbage")],
        "unknown_point": [(topic, envelope(reading("s.u.nothing")))],
        "wrong_site": [(topic, envelope(reading("t.u.ac")))],
        "unknown_agent": [
            ("danhao/v1/s/gw-99/readings", envelope(reading()).replace(b"gw-01", b"gw-99"))
        ],
        "future": [(topic, envelope(reading(at=utc_now() + timedelta(minutes=6))))],
        "too_old": [(topic, envelope(reading(at="1999-12-31T23:59:59Z")))],
        "not_a_number": [
            (topic, envelope(reading(value=float("nan")))),
            (topic, envelope(reading(value=None))),
        ],
        "count_too_large": [(topic, envelope(reading(value=2**53 + 2)))],
        "too_large": [(topic, b"{" + b" " * (2 << 20))],
        "conflict": [(topic, envelope(reading(value=1))), (topic, envelope(reading(value=2)))],
        "unknown_unit": [
            (
                "danhao/v1/s/gw-01/output",
                json.dumps(
                    {
                        "id": "x",
                        "revision": 0,
                        "unit": "s.nothing",
                        "kind": "tapping",
                        "at": AT.isoformat(),
                        "mass_t": "1",
                    }
                ).encode(),
            )
        ],
    }
    last = (topic, envelope(reading(at=AT + timedelta(minutes=15), value=4)))
    asyncio.run(send(service, [one for several in wrong.values() for one in several] + [last]))
    wait_until(
        lambda: service.query("select count(*) from reading") == [(2,)],
        30,
        "the two good readings",
    )
    seen = {row[0] for row in service.query("select reason from dead_letter")}
    wait_until(
        lambda: {row[0] for row in service.query("select reason from dead_letter")} >= wrong.keys(),
        30,
        f"every reason; there are {sorted(seen)}",
    )
    items = service.get("/api/v1/dead-letters", role="admin")["items"]
    assert {item["reason"] for item in items} == wrong.keys()
    assert all(item["detail"] for item in items)
    printed = json.loads(
        service.danhao("ingest", "dead-letters", "--json", "--data-dir", str(service.data_dir))
    )
    assert len(printed["items"]) == len(items)


def test_a_good_row_survives_a_bad_neighbour_in_the_same_envelope(
    service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(PLANT, "utf-8")
    service.apply(file)
    rows = [reading("s.u.nothing"), reading(value=7), reading(at="not a time"), "no row"]
    topic = "danhao/v1/s/gw-01/readings"
    asyncio.run(send(service, [(topic, envelope(*rows, sequence=1))]))
    wait_until(lambda: service.query("select value from reading") == [(7.0,)], 30, "the good row")
    wait_until(
        lambda: service.query("select committed from agent_epoch") == [(1,)],
        10,
        "the envelope to be committed",
    )


def test_wrong_questions_get_problem_documents(service: Service) -> None:
    token = {"Authorization": f"Bearer {service.token('admin')}"}
    for path, status, says in (
        ("/api/v1/limits/nope", 404, "nope"),
        ("/api/v1/units/nope.nope", 404, "nope"),
        ("/api/v1/points/no.such.point/energy?period=month", 404, "no.such.point"),
        ("/api/v1/nothing", 404, ""),
    ):
        answer = httpx.get(service.url + path, headers=token)
        assert answer.status_code == status, path
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert says in answer.text
    assert httpx.get(service.url + "/api/v1/units").status_code == 401


def test_wrong_files_name_file_line_and_key(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(PLANT.replace('kind = "counter"', 'kind = "clock"', 1), "utf-8")
    directory = ["--data-dir", str(service.data_dir)]
    service.danhao("plant", "apply", str(file), *directory, expect=2)
    service.danhao("plant", "check", str(tmp_path / "missing.toml"), expect=2)
    service.danhao("limits", "show", "nope", expect=2)
    service.danhao("limits", "check", str(file), expect=2)
    assert service.query("select count(*) from site") == [(0,)]
