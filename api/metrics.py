"""Counters and gauges of this process in Prometheus' text format; a small writer of our own.

A series is a name with labels; the number of series is bounded, what is beyond is counted in one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MOST_SERIES: Final = 2000
OVERFLOW: Final = "danhao_metric_series_dropped_total"

_HELP: Final = {
    "danhao_http_requests_total": ("counter", "Answered requests by method, route and status."),
    "danhao_http_seconds_total": ("counter", "Seconds spent on requests, streams left out."),
    "danhao_live_clients": ("gauge", "Open live streams."),
    "danhao_live_events_total": ("counter", "Live events published, by kind."),
    "danhao_live_resyncs_total": ("counter", "Times a slow client's queue was dropped."),
    "danhao_live_refused_total": ("counter", "Live streams refused because the server was full."),
    "danhao_live_failures_total": ("counter", "Polls for the live stream that failed."),
    "danhao_sign_in_throttled_total": ("counter", "Sign-ins refused after too many failures."),
    "danhao_sign_ins_total": ("counter", "Sign-ins by way and outcome."),
    "danhao_sessions_stolen_total": ("counter", "Sessions ended because two browsers had them."),
    "danhao_store_up": ("gauge", "1 when the database answered this scrape."),
    "danhao_points_reporting": ("gauge", "Points that ever reported."),
    "danhao_newest_reading_timestamp_seconds": ("gauge", "Instant of the newest reading."),
    "danhao_touched_spans": ("gauge", "Spans waiting for computation, at most 100000 counted."),
    "danhao_dead_letters_last_day": ("gauge", "Dead letters of the last 24 h, by reason."),
    "danhao_agents": ("gauge", "Declared agents by state."),
    "danhao_channel_failures": ("gauge", "Failed attempts in a row on a channel of alerts."),
    "danhao_channel_open": ("gauge", "1 while a channel's receiver counts as out."),
    "danhao_notifications": ("gauge", "Notifications of alerts, by state of their delivery."),
    "danhao_ingest_workers": ("gauge", "Ingest workers at work."),
    "danhao_sites_without_worker": ("gauge", "Declared sites that no worker has."),
    "danhao_marks_waiting": ("gauge", "Marked spans that wait for computation, of what they are."),
    "danhao_oldest_mark_age_seconds": (
        "gauge",
        "How far figures are behind their readings, 0 where nothing waits.",
    ),
    "danhao_newest_figure_timestamp_seconds": ("gauge", "Instant of the newest computed figure."),
    "danhao_database_clock_offset_seconds": (
        "gauge",
        "This machine's clock against the database server's.",
    ),
    "danhao_dead_letters_open": ("gauge", "Dead letters that nobody settled, 100000 at most."),
    "danhao_dead_letters_removed_total": (
        "counter",
        "Dead letters that made room for newer ones before anybody settled them.",
    ),
    "danhao_agents_heard": (
        "gauge",
        "Declared agents by whether they are heard; who sends facts only is not.",
    ),
    "danhao_outbox_envelopes": ("gauge", "Envelopes that agents say they still have to send."),
    "danhao_outbox_oldest_age_seconds": ("gauge", "Age of the oldest of them, of any agent."),
    "danhao_envelopes_missing": ("gauge", "Envelopes that never came and are waited for."),
    "danhao_envelopes_lost": ("gauge", "Envelopes that agents dropped before they were received."),
    "danhao_agent_clock_offset_seconds": ("gauge", "The largest clock offset of any agent."),
    "danhao_agent_troubles": ("gauge", "What agents report of themselves, by kind."),
    "danhao_alerts": ("gauge", "Alerts that stand, by severity."),
    "danhao_cases_open": ("gauge", "Cases that are not closed."),
    "danhao_cases_lapsed": ("gauge", "Cases of which something was not done in time."),
    "danhao_bound_hits_total": ("counter", "Times that programs ran into a bound, by bound."),
    "danhao_channel_waiting": ("gauge", "Notifications that wait, by channel of alerts."),
    "danhao_channel_oldest_age_seconds": ("gauge", "Age of the oldest of them, by channel."),
    "danhao_report_figures_waiting": ("gauge", "Figures that national platforms lack."),
    "danhao_report_oldest_age_seconds": ("gauge", "Age of the oldest of them."),
    "danhao_policy_failures": ("gauge", "Failed runs in a row of what keeps readings in order."),
    OVERFLOW: ("counter", "Changes to series beyond the bound."),
}


@dataclass(slots=True)
class Metrics:
    """The series of one process."""

    _series: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        key = self._key(name, labels)
        self._series[key] = self._series.get(key, 0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._series[self._key(name, labels)] = value

    def value(self, name: str, **labels: str) -> float:
        """Return a series' value, 0 where it never changed."""
        return self._series.get((name, tuple(sorted(labels.items()))), 0)

    def forget(self, name: str) -> None:
        """Drop a gauge's series before its labels are set anew."""
        for key in [key for key in self._series if key[0] == name]:
            del self._series[key]

    def text(self) -> str:
        """Write all series, sorted, in the text exposition format."""
        lines: list[str] = []
        written = ""
        for (name, labels), value in sorted(self._series.items()):
            if name != written:
                kind, help_text = _HELP.get(name, ("untyped", name))
                lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
                written = name
            inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
            lines.append(f"{name}{{{inner}}} {value:.15g}" if inner else f"{name} {value:.15g}")
        return "\n".join(lines) + "\n"

    def _key(self, name: str, labels: Mapping[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
        key = (name, tuple(sorted(labels.items())))
        if key not in self._series and len(self._series) >= MOST_SERIES:
            return (OVERFLOW, ())
        return key


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
