"""What is counted, and how does it read in Prometheus' text format?

Recording costs a dictionary look-up and an addition; no label holds anything a client chose.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from serving import guard

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
REQUEST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
RUN_S = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)


class Metrics:
    """One server's counters, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = Counter("unjar_requests", "Answers by route and status", ["route", "code"], registry=self.registry)
        self._seconds = Histogram(
            "unjar_request_seconds", "From the request's headers to the answer's end", ["route"],
            buckets=REQUEST_S, registry=self.registry,
        )  # fmt: skip
        self._refused = Counter("unjar_refused", "Refusals by error code", ["reason"], registry=self.registry)
        self._run = Histogram("unjar_model_run_seconds", "Time in the model", buckets=RUN_S, registry=self.registry)
        self._rows = Counter("unjar_rows", "Rows answered", registry=self.registry)
        self._model = Gauge("unjar_model_info", "1 once it is ready", ["name", "version", "digest"], registry=self.registry)
        ProcessCollector(registry=self.registry)
        self.registry.register(_Guard())
        self.refusals: dict[str, int] = {}
        self._requests_of: dict[tuple[str, int], Counter] = {}
        self._seconds_of: dict[str, Histogram] = {}

    def request(self, route: str, code: int, seconds: float) -> None:
        counter = self._requests_of.get((route, code))
        if counter is None:
            counter = self._requests_of[route, code] = self._requests.labels(route, str(code))
            self._seconds_of[route] = self._seconds.labels(route)
        counter.inc()
        self._seconds_of[route].observe(seconds)

    def refused(self, reason: str) -> None:
        self.refusals[reason] = self.refusals.get(reason, 0) + 1
        self._refused.labels(reason).inc()

    def ran(self, rows: int, requests: int, seconds: float, waited_s: float) -> None:
        self._run.observe(seconds)
        self._rows.inc(rows)

    def ready(self, name: str, version: str, digest: str) -> None:
        self._model.labels(name, version, digest).set(1)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Guard:
    """Reads the guard's own count, which the audit hook keeps."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily("unjar_unpickling_refused", "Attempts to unpickle", value=guard.attempts())
