"""The agent's health as Prometheus metrics; one registry a scrape, filled from one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from edge.breaker import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from edge.health import Device, Health, Link

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
# name, help, attribute of Device
_DEVICE_COUNTERS: Final = (
    ("polls", "Polls of a device.", "polls"),
    ("poll_failures", "Polls in which something did not come.", "failures"),
    ("device_readings", "Readings that a device gave.", "readings"),
    ("late_readings", "Counts left out because they came too slowly to say when.", "late"),
    ("missed_periods", "Whole periods in which a device's turn did not come.", "missed"),
)
_LINK_COUNTERS: Final = (
    ("sent_envelopes", "Envelopes sent, repeats included.", "sent"),
    ("sent_readings", "Readings sent, repeats included.", "sent_readings"),
    ("repeated_envelopes", "Envelopes sent again.", "repeated"),
    ("receipts", "Receipts of the store.", "receipts"),
    ("connection_failures", "Connections that failed or ended.", "failures"),
    ("set_aside_envelopes", "Envelopes given up after their last send.", "set_aside"),
)
_AGENT_COUNTERS: Final = (
    ("readings", "Readings taken from devices.", "readings"),
    ("kept_readings", "Readings written to the outbox.", "kept"),
    ("dropped_readings", "Readings dropped because memory was full.", "dropped"),
    ("disk_errors", "Writes that the disk refused.", "disk_errors"),
    ("reloads", "Configurations taken over while running.", "reloads"),
    ("refused_reloads", "Configurations refused while running.", "refused_reloads"),
)


def text(health: Health) -> bytes:
    """Return one scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(health))
    return generate_latest(registry)


@dataclass(frozen=True)
class _Snapshot(Collector):
    health: Health

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        health = self.health
        for name, told, attribute in _AGENT_COUNTERS:
            yield _counter(name, told, getattr(health, attribute))
        yield from _devices(health.devices)
        yield from _links(health.links)
        outbox = health.outbox
        yield _gauge("outbox_depth", "Envelopes that a destination lacks.", outbox.depth)
        yield _gauge("outbox_held", "Envelopes held.", outbox.held)
        yield _gauge("outbox_bytes", "Size of the outbox file.", outbox.file_bytes)
        yield _gauge("outbox_in_memory", "1 where the disk failed.", outbox.in_memory)
        yield _counter("lost_readings", "Readings nobody received in time.", outbox.lost_readings)
        yield _gauge("clock_right", "1 where the clock is believed.", health.clock.trust == "right")
        if health.clock.ahead_ms is not None:
            told = "How far the clock is ahead of the server's."
            yield _gauge("clock_ahead_seconds", told, health.clock.ahead_ms / 1e3)
        yield _gauge("ill", "1 where the agent can not do its work.", bool(health.ill))


def _devices(devices: tuple[Device, ...]) -> Iterator[Metric]:
    for name, told, attribute in _DEVICE_COUNTERS:
        family = CounterMetricFamily(f"danhao_edge_{name}", told, labels=["device"])
        for device in devices:
            family.add_metric([device.name], getattr(device, attribute))
        yield family
    state = GaugeMetricFamily(
        "danhao_edge_device_state", "1 for the state a device is in.", labels=["device", "state"]
    )
    took = GaugeMetricFamily(
        "danhao_edge_poll_seconds", "How long the last poll took.", labels=["device"]
    )
    for device in devices:
        took.add_metric([device.name], device.took_s)
        for each in State:
            state.add_metric([device.name, str(each)], float(device.state == each))
    yield state
    yield took


def _links(links: tuple[Link, ...]) -> Iterator[Metric]:
    for name, told, attribute in _LINK_COUNTERS:
        family = CounterMetricFamily(f"danhao_edge_{name}", told, labels=["destination"])
        for link in links:
            family.add_metric([link.name], getattr(link, attribute))
        yield family
    connected = GaugeMetricFamily(
        "danhao_edge_connected", "1 where the broker is connected.", labels=["destination"]
    )
    for link in links:
        connected.add_metric([link.name], float(link.connected))
    yield connected


def _counter(name: str, told: str, value: float) -> Metric:
    return CounterMetricFamily(f"danhao_edge_{name}", told, value=value)


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(f"danhao_edge_{name}", told, value=float(value))
