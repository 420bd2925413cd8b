"""Promises of the Prometheus writer."""

from __future__ import annotations

from api.metrics import MOST_SERIES, OVERFLOW, Metrics


def test_series_are_written_sorted_with_help_and_type_once() -> None:
    metrics = Metrics()
    metrics.add("danhao_live_events_total", kind="units")
    metrics.add("danhao_live_events_total", 2, kind="heartbeat")
    metrics.set("danhao_store_up", 1)
    assert metrics.text() == (
        "# HELP danhao_live_events_total Live events published, by kind.\n"
        "# TYPE danhao_live_events_total counter\n"
        'danhao_live_events_total{kind="heartbeat"} 2\n'
        'danhao_live_events_total{kind="units"} 1\n'
        "# HELP danhao_store_up 1 when the database answered this scrape.\n"
        "# TYPE danhao_store_up gauge\n"
        "danhao_store_up 1\n"
    )


def test_a_label_cannot_break_the_format() -> None:
    metrics = Metrics()
    metrics.set("danhao_agents", 1, state='a"b\\c\nd')
    assert 'state="a\\"b\\\\c\\nd"} 1' in metrics.text()


def test_series_are_bounded_and_what_is_beyond_is_counted() -> None:
    metrics = Metrics()
    for number in range(MOST_SERIES + 10):
        metrics.add("danhao_http_requests_total", route=str(number))
    assert metrics.value(OVERFLOW) == 10
    assert metrics.text().count("danhao_http_requests_total{") == MOST_SERIES


def test_a_gauge_can_be_forgotten_before_its_labels_change() -> None:
    metrics = Metrics()
    metrics.set("danhao_agents", 1, state="online")
    metrics.forget("danhao_agents")
    assert metrics.value("danhao_agents", state="online") == 0
