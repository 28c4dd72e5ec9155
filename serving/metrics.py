"""What is counted, and how does it read in Prometheus' text format and in Triton's statistics?

All labels are known before the first request, so that every figure has a fixed place in an array of doubles: counting is an
addition. The array may be memory that several processes share: each adds to its own part, whoever is asked sums them all.
No label holds anything a client chose.
"""

import os
import resource
import time
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate, count
from typing import TYPE_CHECKING, Any

from serving import guard
from serving.errors import REFUSALS

if TYPE_CHECKING:
    from prometheus_client import Metric

MODEL = "/v2/models/{name}"
PLACES = ("/infer", "/ready", "/stats", "")
ROUTES = (
    *(base + place for base in (MODEL, MODEL + "/versions/{version}") for place in PLACES),
    "/v2", "/v2/", "/v2/health/live", "/v2/health/ready", "/v2/models/stats", "/metrics", "/docs", "/openapi.json", "other",
)  # fmt: skip
CODES = tuple(sorted({200, 499, *(refusal.status for refusal in REFUSALS)}))
REASONS = tuple(refusal.code for refusal in REFUSALS)
REQUEST_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
RUN_S = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)
BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
PAGE = os.sysconf("SC_PAGE_SIZE")

_next = count()


def _room(bounds: tuple[float, ...]) -> int:
    """Where a histogram begins: its buckets, the rest above them, and the sum."""
    first, *_ = [next(_next) for _ in range(len(bounds) + 2)]
    return first


_REQUESTS = {(route, code): next(_next) for route in ROUTES for code in CODES}
_SECONDS = {route: _room(REQUEST_S) for route in ROUTES}
_REFUSED = {reason: next(_next) for reason in REASONS}
_GUARD = {kind: next(_next) for kind in guard.KINDS}
_RUN, _BATCH = _room(RUN_S), _room(BATCH)
_ROWS, _WAITED_S, _WAITING, _LAST_RUN, _READY, _RESTARTS = (next(_next) for _ in range(6))
_MEMORY, _CPU_S, _FILES, _STARTED = (next(_next) for _ in range(4))
WIDTH = next(_next)


class Metrics:
    """One process's counters. `store`: the doubles of all processes, one part of WIDTH for each; `part`: which is its own."""

    def __init__(self, store: "memoryview[Any] | None" = None, part: int = 0) -> None:
        # "d": eight aligned bytes each, so that nobody reads half a number.
        self._all = store if store is not None else memoryview(bytearray(8 * WIDTH)).cast("d")
        self._own = self._all[part * WIDTH : (part + 1) * WIDTH]
        self._own[_WAITING] = self._own[_READY] = 0.0
        self._own[_STARTED] = time.time()
        self._model: tuple[str, str, str] | None = None

    def request(self, route: str, code: int, seconds: float) -> None:
        own = self._own
        route = route if route in _SECONDS else "other"
        own[_REQUESTS[route, code]] += 1
        at = _SECONDS[route]
        own[at + bisect_left(REQUEST_S, seconds)] += 1
        own[at + len(REQUEST_S) + 1] += seconds

    def refused(self, reason: str) -> None:
        self._own[_REFUSED[reason]] += 1

    def ran(self, rows: int, requests: int, seconds: float, waited_s: float) -> None:
        """One run of the model answered so many requests, which had waited so long together."""
        own = self._own
        own[_RUN + bisect_left(RUN_S, seconds)] += 1
        own[_RUN + len(RUN_S) + 1] += seconds
        own[_BATCH + bisect_left(BATCH, requests)] += 1
        own[_BATCH + len(BATCH) + 1] += requests
        own[_ROWS] += rows
        own[_WAITED_S] += waited_s
        own[_LAST_RUN] = time.time()

    def waiting(self, requests: int) -> None:
        self._own[_WAITING] = requests

    def restarted(self) -> None:
        self._own[_RESTARTS] += 1

    def ready(self, name: str, version: str, digest: str) -> None:
        self._model = (name, version, digest)
        self._own[_READY] = 1.0

    def is_ready(self, part: int) -> bool:
        return self._all[part * WIDTH + _READY] == 1.0

    @property
    def refusals(self) -> dict[str, int]:
        """This process's own, by reason."""
        return {reason: int(self._own[at]) for reason, at in _REFUSED.items() if self._own[at]}

    def look_at_process(self) -> None:
        """What is not counted but looked up; called now and then, so that others see it too."""
        own, usage = self._own, resource.getrusage(resource.RUSAGE_SELF)
        for kind, attempts in guard.attempts().items():
            own[_GUARD[kind]] = attempts
        own[_CPU_S] = usage.ru_utime + usage.ru_stime
        with open("/proc/self/statm") as file:
            own[_MEMORY] = int(file.read().split()[1]) * PAGE
        own[_FILES] = len(os.listdir("/proc/self/fd"))

    def text(self) -> bytes:
        # Imported for the first who asks: it is not needed to answer anything else.
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import generate_latest

        self.look_at_process()
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator["Metric"]:
        """Prometheus' families, summed over all processes."""
        total = self._total()
        yield from _answers(total)
        yield from _runs(total)
        if self._model is not None:
            from prometheus_client.core import GaugeMetricFamily

            model = GaugeMetricFamily("unjar_model_info", "1 once it is ready", labels=["digest", "name", "version"])
            name, version, digest = self._model
            model.add_metric([digest, name, version], 1)
            yield model
        yield from _processes(self._parts())

    def statistics(self) -> dict[str, Any]:
        """As Triton's statistics extension has it. Reading and writing are not timed apart from the rest."""
        total = self._total()
        if self._model is None:
            return {"model_stats": []}
        asked = [route for route in ROUTES if route.endswith("/infer")]
        answered = int(sum(total[_REQUESTS[route, 200]] for route in asked))
        failed = int(sum(total[_REQUESTS[route, code]] for route in asked for code in CODES if code != 200))
        seconds = sum(total[_SECONDS[route] + len(REQUEST_S) + 1] for route in asked)
        runs = int(sum(total[_RUN : _RUN + len(RUN_S) + 1]))
        run_s, waited_s, none = total[_RUN + len(RUN_S) + 1], total[_WAITED_S], {"count": 0, "ns": 0}
        name, version, _ = self._model
        return {
            "model_stats": [
                {
                    "name": name,
                    "version": version,
                    "last_inference": int(max((part[_LAST_RUN] for _, part in self._parts()), default=0) * 1e3),
                    "inference_count": int(total[_ROWS]),
                    "execution_count": runs,
                    "inference_stats": {
                        "success": {"count": answered, "ns": int(seconds * 1e9)},
                        "fail": {"count": failed, "ns": 0},
                        "queue": {"count": answered, "ns": int(waited_s * 1e9)},
                        "compute_input": none,
                        "compute_infer": {"count": runs, "ns": int(run_s * 1e9)},
                        "compute_output": none,
                    },
                    "batch_stats": [],
                }
            ]
        }

    def _parts(self) -> list[tuple[int, list[float]]]:
        """Of every process that ever started, its number and figures."""
        parts = [list(self._all[at : at + WIDTH]) for at in range(0, len(self._all), WIDTH)]
        return [(number, part) for number, part in enumerate(parts) if part[_STARTED]]

    def _total(self) -> list[float]:
        return [sum(figures) for figures in zip(*(part for _, part in self._parts()), strict=True)]


def _answers(total: list[float]) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    requests = CounterMetricFamily("unjar_requests", "Answers by route and status", labels=["code", "route"])
    for (route, code), at in _REQUESTS.items():
        if total[at]:
            requests.add_metric([str(code), route], total[at])
    yield requests
    seconds = HistogramMetricFamily("unjar_request_seconds", "From a request's headers to its answer's end", labels=["route"])
    for route, at in _SECONDS.items():
        if any(total[at : at + len(REQUEST_S) + 1]):
            seconds.add_metric([route], *_histogram(total, at, REQUEST_S))
    yield seconds
    refused = CounterMetricFamily("unjar_refused", "Refusals by error code", labels=["reason"])
    for reason, at in _REFUSED.items():
        if total[at]:
            refused.add_metric([reason], total[at])
    yield refused


def _runs(total: list[float]) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    for name, text, at, bounds in (
        ("unjar_model_run_seconds", "Time in the model", _RUN, RUN_S),
        ("unjar_batch_requests", "Requests that shared a run of the model", _BATCH, BATCH),
    ):
        family = HistogramMetricFamily(name, text)
        family.add_metric([], *_histogram(total, at, bounds))
        yield family
    yield CounterMetricFamily("unjar_rows", "Rows answered", value=total[_ROWS])
    yield CounterMetricFamily("unjar_waited_seconds", "Time requests waited for the model", value=total[_WAITED_S])
    yield GaugeMetricFamily("unjar_waiting_requests", "Requests that wait for the model", value=total[_WAITING])
    guarded = CounterMetricFamily("unjar_guard_refused", "Attempts at what a server never does", labels=["kind"])
    for kind, at in _GUARD.items():
        guarded.add_metric([kind], total[at])
    yield guarded
    yield CounterMetricFamily("unjar_restarts", "Processes that died and were started again", value=total[_RESTARTS])


def _processes(parts: list[tuple[int, list[float]]]) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for kind, name, text, at in (
        (GaugeMetricFamily, "process_resident_memory_bytes", "Resident memory", _MEMORY),
        (CounterMetricFamily, "process_cpu_seconds", "Processor time", _CPU_S),
        (GaugeMetricFamily, "process_open_fds", "Open files and sockets", _FILES),
        (GaugeMetricFamily, "process_start_time_seconds", "When it started, since 1970", _STARTED),
    ):
        family = kind(name, text, labels=["process"])
        for number, part in parts:
            family.add_metric([str(number)], part[at])
        yield family


def _histogram(total: list[float], at: int, bounds: tuple[float, ...]) -> tuple[list[tuple[str, float]], float]:
    names = [*(f"{float(bound)}" for bound in bounds), "+Inf"]
    counts = accumulate(total[at : at + len(names)])
    return list(zip(names, counts, strict=True)), total[at + len(names)]
