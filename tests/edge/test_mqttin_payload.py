"""What devices publish: numbers read exactly, times, quality, and everything that is none.

Tasmota's message is the one of its users' documentation (tasmota.github.io/docs/Power-Monitoring-
Calibration and blog.mylocalbytes.com, "Accessing power usage from Tasmota smart plugs"); Shelly's
are those of shelly-api-docs.shelly.cloud, generation 1 ("EM: MQTT", plain numbers on topics of
their own) and generation 2 (components EM and EMData, notifications NotifyStatus).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import to_us
from core.quality import Quality
from core.reading import Reading
from edge.mqttin import payload
from edge.mqttin.payload import Decoder, Message
from edge.mqttin.settings import MqttInDevice

if TYPE_CHECKING:
    from decimal import Decimal

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
ENERGY, POWER = "gh-al.shop.plug-energy", "gh-al.shop.plug-power"
TOPIC = "tele/plug/SENSOR"
TASMOTA = """{"Time":"2026-11-21T12:57:38","ENERGY":{"TotalStartTime":"2020-10-21T22:15:00",
"Total":3.705,"Yesterday":0.028,"Today":0.026,"Period":1,"Power":5,"ApparentPower":5,
"ReactivePower":0,"Factor":1.00,"Voltage":233,"Current":0.021}}"""
SHELLY_GEN2 = """{"src":"shellypro3em-f00d","dst":"shellypro3em-f00d/events",
"method":"NotifyStatus","params":{"ts":1795237200.12,"em:0":{"id":0,"total_act_power":-1500.5},
"emdata:0":{"id":0,"total_act":2413825.31,"total_act_ret":74.98}}}"""


def device(points: dict[str, Any] | None = None, **other: Any) -> MqttInDevice:
    given_points = {ENERGY: {"path": "$.v", "counter": True, "resolution": "0.001"}}
    return MqttInDevice.model_validate(
        {
            "name": "plug",
            "driver": "mqtt-in",
            "broker": {"url": "mqtt://127.0.0.1"},
            "topic": TOPIC,
            "points": points or given_points,
            **other,
        }
    )


def decoded(of: MqttInDevice, text: str | bytes, topic: str = TOPIC, **other: Any) -> Any:
    raw = text if isinstance(text, bytes) else text.encode()
    return Decoder(of).decode(Message(topic, raw, to_us(NOW), **other))


def test_a_tasmota_plug_is_read_in_its_local_time() -> None:
    plug = device(
        {
            ENERGY: {"path": "$.ENERGY.Total", "counter": True, "resolution": "0.001"},
            POWER: {"path": "$.ENERGY.Power", "unit": "W"},
        },
        time={"path": "$.Time"},
        timezone="Asia/Shanghai",
    )
    at = to_us(datetime(2026, 11, 21, 4, 57, 38, tzinfo=UTC))
    assert decoded(plug, TASMOTA).readings == (Reading(ENERGY, at, 3705), Reading(POWER, at, 5.0))


def test_a_shelly_of_generation_2_is_read_by_its_epoch() -> None:
    shelly = device(
        {
            ENERGY: {
                "path": "$.params['emdata:0'].total_act",
                "counter": True,
                "resolution": "0.01",
                "unit": "Wh",
            },
            POWER: {"path": '$.params["em:0"].total_act_power', "scale": "0.001", "unit": "kW"},
        },
        time={"path": "$.params.ts", "format": "epoch_s"},
    )
    at = 1_795_237_200_120_000
    assert decoded(shelly, SHELLY_GEN2).readings == (
        Reading(ENERGY, at, 241_382_531),
        Reading(POWER, at, -1.5005),
    )


def test_a_notification_that_speaks_of_something_else_is_no_fault() -> None:
    shelly = device({POWER: {"path": "$.params['em:0'].total_act_power"}})
    found = decoded(shelly, '{"method":"NotifyStatus","params":{"ts":1.0,"wifi":{"rssi":-60}}}')
    assert (found.readings, found.faults) == ((), ())


def test_a_shelly_of_generation_1_sends_plain_numbers_on_topics_of_their_own() -> None:
    shelly = device(
        {
            ENERGY: {
                "topic": "shellies/shellyem-F00D/emeter/0/total",
                "counter": True,
                "resolution": "0.1",
                "unit": "Wh",
            },
            POWER: {"topic": "shellies/shellyem-F00D/emeter/0/power", "unit": "W"},
        },
        topic=None,
    )
    at = to_us(NOW)
    total = decoded(shelly, "84722.3", "shellies/shellyem-F00D/emeter/0/total")
    power = decoded(shelly, "-12.08", "shellies/shellyem-F00D/emeter/0/power")
    assert total.readings == (Reading(ENERGY, at, 847_223),)
    assert power.readings == (Reading(POWER, at, -12.08),)
    assert decoded(shelly, "1", "shellies/shellyem-F00D/emeter/1/total").readings == ()


@given(
    st.decimals(-(10**9), 10**9, allow_nan=False, places=4),
    st.sampled_from(["0.001", "0.01", "1", "0.25", "10", "0.003"]),
)
def test_a_count_is_the_number_over_its_resolution_to_the_nearest_even(
    number: Decimal, resolution: str
) -> None:
    of = device({ENERGY: {"path": "$.v", "counter": True, "resolution": resolution}})
    (reading,) = decoded(of, f'{{"v":{number:f}}}').readings
    assert reading.value == round(Fraction(number) / Fraction(resolution))


@given(st.floats(1e-20, 1e30), st.sampled_from([1, -1, 0]))
def test_a_gauge_is_the_number_itself(number: float, sign: int) -> None:
    of = device({POWER: {"path": "$.v"}})
    found = decoded(of, json.dumps({"v": number * sign}))
    assert [reading.value for reading in found.readings] == [number * sign]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("true", "is no number: true"),
        ('"on"', "is no number: on"),
        ('{"a":1}', "is no number"),
        ("[1]", "is no number"),
        ("1e400", "is no number that a meter shows"),
        ("1e999999999999", "is no"),
        ("1" * 60, "is no number that a meter shows"),
        ("1" * 30, "is too large to be counted"),
    ],
)
def test_what_is_no_number_is_a_fault_and_no_reading(value: str, fault: str) -> None:
    found = decoded(device(), f'{{"v":{value}}}')
    assert found.readings == ()
    (told,) = found.faults
    assert fault in told
    assert told.startswith(TOPIC)


@pytest.mark.parametrize("value", ["null", "NaN", "Infinity", "-Infinity"])
def test_what_the_device_does_not_have_is_bad_without_a_value(value: str) -> None:
    (reading,) = decoded(device(), f'{{"v":{value}}}').readings
    assert (reading.value, reading.quality) == (None, Quality.BAD)


@pytest.mark.parametrize("text", ["", "nan", "NaN", "null", " none "])
def test_an_empty_plain_number_is_bad_without_a_value(text: str) -> None:
    (reading,) = decoded(device({POWER: {}}), text).readings
    assert (reading.value, reading.quality) == (None, Quality.BAD)


@pytest.mark.parametrize("text", ["12.5", " 12.5\n", '"12.5"', "1.25e1"])
def test_a_number_written_as_text_is_a_number(text: str) -> None:
    if text.startswith('"'):
        found = decoded(device({POWER: {"path": "$.v"}}), f'{{"v":{text}}}')
    else:
        found = decoded(device({POWER: {}}), text)
    assert [reading.value for reading in found.readings] == [12.5]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"v":' + b"9" * 10_000 + b"}", b"x" * 300_000],
)
def test_a_bad_payload_is_a_fault_and_never_a_crash(raw: bytes) -> None:
    found = decoded(device(), raw)
    assert found.readings == ()
    assert len(found.faults) == 1
    assert len(found.faults[0]) < 300


@given(st.binary(max_size=200))
def test_no_payload_makes_the_decoder_fail(raw: bytes) -> None:
    of = device(time={"path": "$.t"}, timezone="Asia/Shanghai")
    decoded(of, raw)
    decoded(device({POWER: {}}), raw)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_no_json_value_makes_the_decoder_fail(value: Any) -> None:
    of = device(time={"path": "$.t", "format": "epoch_ms"})
    decoded(of, json.dumps({"v": value, "t": value}))
    decoded(of, json.dumps({"v": value, "t": 1_795_237_200_000}))


@pytest.mark.parametrize(
    ("form", "text", "offset_us"),
    [
        ("rfc3339", '"2026-11-21T05:00:00Z"', 0),
        ("rfc3339", '"2026-11-21T13:00:00.5+08:00"', 500_000),
        ("epoch_s", "1795237200", 0),
        ("epoch_s", "1795237200.000001", 1),
        ("epoch_s", '"1795237200"', 0),
        ("epoch_ms", "1795237200250", 250_000),
    ],
)
def test_a_reading_belongs_to_the_time_in_its_payload(form: str, text: str, offset_us: int) -> None:
    of = device(time={"path": "$.t", "format": form})
    (reading,) = decoded(of, f'{{"v":1,"t":{text}}}').readings
    assert reading.measured_us == to_us(NOW) + offset_us


@pytest.mark.parametrize(
    ("form", "text", "fault"),
    [
        ("rfc3339", '"2026-11-21T05:00:00"', "without an offset"),
        ("rfc3339", '"yesterday"', "a time that is none"),
        ("rfc3339", "5", "a time that is none"),
        ("rfc3339", '"0001-01-01T00:00:00+23:00"', "a time that is none"),
        ("epoch_s", "true", "is no number"),
        ("epoch_s", "12", "before 2000"),
        ("epoch_s", "1795237501", "in the future"),
        ("epoch_ms", "1e40", "in the future"),
    ],
)
def test_a_time_that_cannot_be_is_a_fault_and_no_reading(form: str, text: str, fault: str) -> None:
    of = device(time={"path": "$.t", "format": form})
    found = decoded(of, f'{{"v":1,"t":{text}}}')
    assert found.readings == ()
    assert fault in found.faults[0]


def test_a_payload_without_its_time_is_a_fault() -> None:
    found = decoded(device(time={"path": "$.t"}), '{"v":1}')
    assert found.readings == ()
    assert "no time where its path says" in found.faults[0]


def test_a_retained_message_counts_by_its_time_and_is_passed_over_without_one() -> None:
    timed = device(time={"path": "$.t", "format": "epoch_s"})
    yesterday = to_us(NOW - timedelta(days=1))
    found = decoded(timed, f'{{"v":1,"t":{yesterday // 1_000_000}}}', retained=True)
    assert [reading.measured_us for reading in found.readings] == [yesterday]
    without = decoded(device(), '{"v":1}', retained=True)
    assert (without.readings, without.ignored, without.faults) == ((), True, ())


@pytest.mark.parametrize(
    ("word", "quality", "value"),
    [
        ("true", Quality.GOOD, 1.0),
        ('"ok"', Quality.GOOD, 1.0),
        ("2", Quality.UNCERTAIN, 1.0),
        ("1", Quality.BAD, None),  # 1 is not true
        ("false", Quality.BAD, None),
        ("null", Quality.BAD, None),
    ],
)
def test_quality_is_read_by_the_words_of_the_device(
    word: str, quality: Quality, value: float | None
) -> None:
    rule = {"path": "$.q", "good": [True, "ok"], "uncertain": [2]}
    of = device({POWER: {"path": "$.v", "quality": rule}})
    (reading,) = decoded(of, f'{{"v":1,"q":{word}}}').readings
    assert (reading.quality, reading.value) == (quality, value)
    (missing,) = decoded(of, '{"v":1}').readings
    assert (missing.quality, missing.value) == (Quality.BAD, None)


def test_a_path_to_several_values_is_a_fault() -> None:
    of = device({POWER: {"path": "$.phases[*].power"}})
    found = decoded(of, '{"phases":[{"power":1},{"power":2}]}')
    assert found.readings == ()
    assert "has 2 values" in found.faults[0]


def test_one_value_may_be_chosen_by_a_filter() -> None:
    of = device({POWER: {"path": "$.phases[?@.name == 'B'].power"}})
    text = '{"phases":[{"name":"A","power":1},{"name":"B","power":2}]}'
    assert [reading.value for reading in decoded(of, text).readings] == [2.0]


def test_two_devices_under_one_filter_are_told_and_never_mixed() -> None:
    decoder = Decoder(device(topic="tele/+/SENSOR"))
    first = decoder.decode(Message("tele/a/SENSOR", b'{"v":1}', to_us(NOW)))
    second = decoder.decode(Message("tele/b/SENSOR", b'{"v":900}', to_us(NOW)))
    again = decoder.decode(Message("tele/a/SENSOR", b'{"v":2}', to_us(NOW)))
    assert [reading.value for reading in (*first.readings, *again.readings)] == [1000, 2000]
    assert second.readings == ()
    assert "matches tele/a/SENSOR and tele/b/SENSOR" in second.faults[0]


@given(st.text(st.sampled_from("$.[]'?@*=()1a ~^|_-:,<\\\"&!"), max_size=20))
def test_no_expression_makes_the_check_fail(path: str) -> None:
    fault = payload.path_fault(path)
    if not fault:
        found = decoded(device({POWER: {"path": path}}), '{"a":1}')
        assert all(reading.point == POWER for reading in found.readings)
    else:
        assert "RFC 9535" in fault


@pytest.mark.parametrize("path", ["ENERGY.Total", "$.a[", "$.a | $.b", "_.x", ""])
def test_what_is_no_path_of_rfc_9535_is_told(path: str) -> None:
    assert "RFC 9535" in payload.path_fault(path)
    assert payload.path_fault("$.ENERGY.Total") == ""
