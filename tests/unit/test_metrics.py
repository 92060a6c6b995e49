"""Metrics: what an event changes."""

import pytest

from ivr import metrics


def _value(name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("event", "name", "labels"),
    [
        (lambda: metrics.call_ended("hangup", "them", 21_000), "ivr_calls_total", {"cause": "hangup", "by": "them"}),
        (lambda: metrics.turn_done("zh", "understood"), "ivr_turns_total", {"language": "zh", "result": "understood"}),
        (lambda: metrics.answer_began("en", "open", 640), "ivr_gap_seconds_count", {"language": "en", "kind": "open"}),
        (
            lambda: metrics.decoded("whisper", "final", 200),
            "ivr_decode_seconds_count",
            {"engine": "whisper", "kind": "final"},
        ),
        (lambda: metrics.speculation_shed("load"), "ivr_speculations_shed_total", {"why": "load"}),
        (lambda: metrics.barge_in("committed"), "ivr_barge_ins_total", {"verdict": "committed"}),
        (metrics.line_restarted, "ivr_line_restarts_total", {}),
        (lambda: metrics.store_failed("transient"), "ivr_store_failures_total", {"kind": "transient"}),
        (
            lambda: metrics.backend_asked("core", "timeout", 3_000),
            "ivr_backend_requests_total",
            {"backend": "core", "outcome": "timeout"},
        ),
        (lambda: metrics.backend_asked("core", "ok", 40), "ivr_backend_seconds_count", {"backend": "core"}),
        (
            lambda: metrics.backend_notified("core", "ok"),
            "ivr_notifications_total",
            {"backend": "core", "outcome": "ok"},
        ),
        (lambda: metrics.refused("source"), "ivr_refused_total", {"what": "source"}),
    ],
)
def test_an_event_is_counted_once(event, name, labels):
    before = _value(name, **labels)
    event()
    assert _value(name, **labels) == before + 1


def test_calls_in_progress_rise_and_fall():
    before = _value("ivr_calls_active")
    metrics.call_started("in")
    assert _value("ivr_calls_active") == before + 1
    metrics.call_ended("busy", "them", 10)
    assert _value("ivr_calls_active") == before


def test_gauges_show_the_last_value():
    metrics.legs_in_use(1, 3, 4)
    metrics.decode_queue(5)
    metrics.trunk_registered("carrier", False)
    assert _value("ivr_legs_in_use", line="1") == 3
    assert _value("ivr_legs_max", line="1") == 4
    assert _value("ivr_decode_queue_depth") == 5
    assert _value("ivr_trunk_registered", trunk="carrier") == 0


def test_the_text_is_what_prometheus_reads():
    text = metrics.render().decode()
    assert "# TYPE ivr_gap_seconds histogram" in text
    assert "process_resident_memory_bytes" in text
