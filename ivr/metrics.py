"""Prometheus metrics, one function an event. Layer words: imports nothing of the house.

Functions may be called from any thread and never raise for a value. Label values come from code or configuration,
never from a caller, so the number of series is bounded. `render` gives the text for `GET /metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

registry = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)

_GAP_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 4.0, 8.0)
_DECODE_S = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 4.0, 8.0, 16.0)
_ASK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_RING_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 300, 1800, 3600)
_CALL_S = (1, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"ivr_{name}", text, labels, registry=registry)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"ivr_{name}", text, labels, registry=registry)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"ivr_{name}", text, labels, buckets=buckets, registry=registry)


_calls_started = _counter("calls_started", "Calls begun", "direction")
_calls = _counter("calls", "Calls ended, by cause and by who ended them", "cause", "by")
_active = _gauge("calls_active", "Calls in progress")
_call_duration = _histogram("call_duration_seconds", "Begin to end of a call", _CALL_S)
_refused = _counter("refused", "What strangers or a full server were refused", "what")
_turns = _counter("turns", "Turns, by language and result", "language", "result")
_gap = _histogram("gap_seconds", "Last speech sample to first answer sample", _GAP_S, "language", "kind")
_decode = _histogram("decode_seconds", "Time a recogniser spent on a decode", _DECODE_S, "engine", "kind")
_decode_wait = _histogram("decode_wait_seconds", "Time a decode waited for a recogniser", _DECODE_S, "kind")
_decode_queue = _gauge("decode_queue_depth", "Decodes waiting for a recogniser")
_shed = _counter("speculations_shed", "Speculative decodes not made or thrown away, by why", "why")
_speculations = _counter("speculations", "Speculative decodes that were used as the final one, or not", "used")
_barge_ins = _counter("barge_ins", "Prompts paused by the caller, by verdict", "verdict")
_underrun = _counter("playout_underrun_seconds", "Silence that playouts ran into")
_legs = _gauge("legs_in_use", "Legs in use", "line")
_legs_max = _gauge("legs_max", "Legs a line process holds", "line")
_lines_up = _gauge("lines_up", "Line processes that are ready")
_restarts = _counter("line_restarts", "Line processes started again after a death")
_trunk = _gauge("trunk_registered", "1 while a trunk that should be registered is", "trunk")
_engine_failures = _counter("speech_failures", "Recognisers or voices that failed on a piece of work", "engine")
_prompts = _counter("prompts", "Sentences prepared, by where they came from", "source")
_store_failures = _counter("store_failures", "Writes to the database that failed", "kind")
_store_lost = _counter("store_lost", "Records given up")
_store_queue = _gauge("store_queue_depth", "Records not yet written")
_http = _counter("http_requests", "HTTP requests", "route", "status")
_backend = _counter("backend_requests", "Questions to back ends, by what came of them", "backend", "outcome")
_backend_time = _histogram("backend_seconds", "Question to answer of a back end", _ASK_S, "backend")
_notifications = _counter("notifications", "Notifications to back ends, by what came of them", "backend", "outcome")

_jobs = _gauge("jobs", "Outbound jobs that are not over, by state", "state")
_jobs_oldest = _gauge("jobs_oldest_due_seconds", "How long the oldest job that is due has waited")
_attempts_open = _gauge("attempts_open", "Outbound attempts under way, of all servers, by policy", "policy")
_breaker = _gauge("breaker_open", "1 while the breaker of a policy is open", "policy")
_job_ring = _histogram("job_ring_seconds", "From when a job was due to its INVITE", _RING_S, "policy")
_job_answer = _histogram("job_answer_seconds", "From when a job was due to the answer", _RING_S, "policy")
_answered_by = _counter("answered_by", "Calls of ours that were answered, by whom and why we think so", "by", "cause")
_attempts = _counter("attempts", "Outbound attempts that are over, by policy and outcome", "policy", "outcome")

_plan_reloads = _counter("plan_reloads", "Loadings of the dialplans: ok, or failed with faults in some", "result")
_plans = _gauge("plan_in_force", "1 for the version of each plan that new calls get", "plan", "version")


def call_started(direction: str) -> None:
    _calls_started.labels(direction).inc()
    _active.inc()


def call_ended(cause: str, by: str, duration_ms: int) -> None:
    """After `call_started`, once a call."""
    _calls.labels(cause, by).inc()
    _call_duration.observe(duration_ms / 1000)
    _active.dec()


def refused(what: str) -> None:
    """`source`, `transfer`, `replaces`, `full`, `media`, `number`, `draining`."""
    _refused.labels(what).inc()


def turn_done(language: str, result: str) -> None:
    """`result`: `understood`, `key`, `no_input`, `no_match`, `no_speech`, `none_of_these`, `failed`."""
    _turns.labels(language, result).inc()


def answer_began(language: str, kind: str, gap_ms: int) -> None:
    """`kind` is the expectation's; `gap_ms` from the caller's last voiced frame to the first frame of the answer."""
    _gap.labels(language, kind).observe(gap_ms / 1000)


def decoded(engine: str, kind: str, decode_ms: int, wait_ms: int = 0) -> None:
    """`kind`: `final` or `speculative`."""
    _decode.labels(engine, kind).observe(decode_ms / 1000)
    _decode_wait.labels(kind).observe(wait_ms / 1000)


def decode_queue(depth: int) -> None:
    _decode_queue.set(depth)


def speculation_shed(why: str) -> None:
    """`load`, `resumed`, `queue`."""
    _shed.labels(why).inc()


def speculation_used(used: bool) -> None:
    _speculations.labels("yes" if used else "no").inc()


def barge_in(verdict: str) -> None:
    """`committed`, `resumed` by verdict, `expired` without one, or `key`."""
    _barge_ins.labels(verdict).inc()


def playout_ran_dry(underrun_ms: int) -> None:
    _underrun.inc(underrun_ms / 1000)


def legs_in_use(line: int, used: int, most: int) -> None:
    _legs.labels(str(line)).set(used)
    _legs_max.labels(str(line)).set(most)


def lines_up(count: int) -> None:
    _lines_up.set(count)


def line_restarted() -> None:
    _restarts.inc()


def trunk_registered(trunk: str, registered: bool) -> None:
    _trunk.labels(trunk).set(registered)


def speech_failed(engine: str) -> None:
    _engine_failures.labels(engine).inc()


def prompt_prepared(source: str) -> None:
    """`cache`, `recording`, or `made`."""
    _prompts.labels(source).inc()


def store_failed(kind: str) -> None:
    """`transient` (tried again), `rejected` (the record's own fault), `overflow` (queue full), `read`."""
    _store_failures.labels(kind).inc()


def store_lost(records: int) -> None:
    _store_lost.inc(records)


def store_queue(depth: int) -> None:
    _store_queue.set(depth)


def http_request(route: str, status: int) -> None:
    """`route` is the template, never the path asked for."""
    _http.labels(route, str(status)).inc()


def backend_asked(backend: str, outcome: str, took_ms: int) -> None:
    """`outcome` is that of `ivr.backend.messages.Response`; `took_ms` with retries."""
    _backend.labels(backend, outcome).inc()
    _backend_time.labels(backend).observe(took_ms / 1000)


def backend_notified(backend: str, outcome: str) -> None:
    """Once a notification, when it has arrived (`ok`) or was given up."""
    _notifications.labels(backend, outcome).inc()


def jobs_waiting(counts: Mapping[str, int], oldest_due_s: float) -> None:
    """`counts` by state; states that are not named have none."""
    for state in ("queued", "held", "claimed", "dialing", "in_call"):
        _jobs.labels(state).set(counts.get(state, 0))
    _jobs_oldest.set(oldest_due_s)


def answered_by(by: str, cause: str) -> None:
    """`by`, `cause`: those of `ivr.line.messages.AnsweredBy`; a machine found out later counts once more."""
    _answered_by.labels(by, cause).inc()


def attempt_ended(policy: str, outcome: str) -> None:
    """`outcome` is that of `ivr.outbound.job.Attempt`."""
    _attempts.labels(policy, outcome).inc()


def policy_state(policy: str, attempts: int, breaker_open: bool) -> None:
    """`attempts` that are under way."""
    _attempts_open.labels(policy).set(attempts)
    _breaker.labels(policy).set(breaker_open)


def job_rang(policy: str, since_due_s: float) -> None:
    """Its INVITE has left."""
    _job_ring.labels(policy).observe(since_due_s)


def job_answered(policy: str, since_due_s: float) -> None:
    """After `job_rang`, when somebody or something answers."""
    _job_answer.labels(policy).observe(since_due_s)


def plans_reloaded(result: str) -> None:
    """`ok`, or `failed` when something in the folder had faults."""
    _plan_reloads.labels(result).inc()


def plans_in_force(versions: Mapping[str, str]) -> None:
    """Plan -> version; those that are not in force any more are no series any more."""
    _plans.clear()
    for name, version in versions.items():
        _plans.labels(name, version).set(1)


def render() -> bytes:
    """Every metric in the Prometheus text format, version 0.0.4."""
    return generate_latest(registry)
