"""What is counted, and how does it read in Prometheus' text format and in Triton's statistics?

All labels are known before the first request, so that every figure has a fixed place in an array of doubles: counting is an
addition. The array may be memory that several processes share: each adds to its own part, whoever is asked sums them all.
No label holds anything a client chose.
"""

import os
import resource
import time
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, count
from typing import Any

from serving import guard
from serving.errors import REFUSALS

MODEL = "/v2/models/{name}"
PLACES = ("/infer", "/ready", "/stats", "")
ROUTES = (
    *(base + place for base in (MODEL, MODEL + "/versions/{version}") for place in PLACES),
    "/v2/repository/index", "/v2/repository/models/{name}/load", "/v2/repository/models/{name}/unload",
    "/v2", "/v2/", "/v2/health/live", "/v2/health/ready", "/v2/models/stats", "/metrics",
    "/v1/feedback", "/status", "/docs", "/openapi.json", "other",
    # Of what is served beside the model.
    "/", "/web/{name}", "/v1/encode", "/v1/similar", "/v1/polar", "/v1/recommend", "/v1/generate", "/v1/decode",
    "/v1/catalogue", "/v1/catalogue/{identity:path}",
)  # fmt: skip
# 0 stands for any other.
CODES = (0, *sorted({200, 202, 499, *(refusal.status for refusal in REFUSALS)}))
REASONS = tuple(refusal.code for refusal in REFUSALS)
REQUEST_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RUN_S = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
BATCH = tuple(1 << power for power in range(10))
PAGE = os.sysconf("SC_PAGE_SIZE")

_next = count()


def _room(bounds: tuple[float, ...]) -> int:
    """Where a histogram begins: the sum, its buckets, and the rest above them."""
    first, *_ = [next(_next) for _ in range(len(bounds) + 2)]
    return first


_REQUESTS = {route: {code: _room(REQUEST_S) for code in CODES} for route in ROUTES}
_REFUSED = {reason: next(_next) for reason in REASONS}
_GUARD = {kind: next(_next) for kind in guard.KINDS}
_RUN, _BATCH = _room(RUN_S), _room(BATCH)
_ROWS, _WAITED_S, _RESTARTS, _LAST_RUN, _STARTED, _CPU_S = (next(_next) for _ in range(6))
_WAITING, _READY, _MEMORY, _FILES, _LOADED, _DECLINED = _GAUGES = tuple(next(_next) for _ in range(6))
_SWAPS, _ROLLBACKS = next(_next), next(_next)
# Of all processes together, in the first one's part: which release answers, which shall, and who sees to it.
_ACTIVE, _WANTED, _LEADER, _COMING = next(_next), next(_next), next(_next), next(_next)
WIDTH = next(_next)
# Processes of different releases must not count into each other's places.
LAYOUT = zlib.crc32(repr((ROUTES, CODES, REASONS, guard.KINDS, REQUEST_S, RUN_S, BATCH, WIDTH)).encode())


class Metrics:
    """One process's counters. `store`: the doubles of all processes, one part of WIDTH for each; `part`: which is its own."""

    def __init__(self, store: "memoryview[Any] | None" = None, part: int = 0) -> None:
        # "d": eight aligned bytes each, so that nobody reads half a number.
        self._all = store if store is not None else memoryview(bytearray(8 * WIDTH)).cast("d")
        self._own = self._all[part * WIDTH : (part + 1) * WIDTH]
        self.bury(part)
        self._own[_STARTED] = time.time()
        # What earlier processes have left here goes on.
        self._earlier = {at: self._own[at] for at in (_CPU_S, *_GUARD.values())}
        self._model: tuple[str, str, str] | None = None
        self._part = part
        if self._all[_LEADER] == part + 1:
            # It died in the midst of a rollout, which is over with it.
            self._all[_LEADER] = self._all[_WANTED] = self._all[_COMING] = 0.0

    def request(self, route: str, code: int, seconds: float) -> int:
        """Returns the bucket of REQUEST_S that it fell into."""
        own = self._own
        try:
            at = _REQUESTS[route][code]
        except KeyError:
            codes = _REQUESTS.get(route, _REQUESTS["other"])
            at = codes.get(code, codes[0])
        bucket = bisect_left(REQUEST_S, seconds)
        own[at] += seconds
        own[at + 1 + bucket] += 1.0
        return bucket

    def refused(self, reason: str) -> None:
        self._own[_REFUSED[reason]] += 1.0

    def ran(self, rows: int, requests: int, seconds: float, waited_s: float) -> None:
        """One run of the model answered so many requests, which had waited so long together."""
        own = self._own
        own[_RUN] += seconds
        own[_RUN + 1 + bisect_left(RUN_S, seconds)] += 1.0
        own[_BATCH] += requests
        own[_BATCH + 1 + bisect_left(BATCH, requests)] += 1.0
        own[_ROWS] += rows
        own[_WAITED_S] += waited_s
        own[_LAST_RUN] = time.time()

    def waiting(self, requests: int) -> None:
        self._own[_WAITING] = requests

    def restarted(self) -> None:
        self._own[_RESTARTS] += 1.0

    def ready(self, name: str, version: str, digest: str) -> None:
        self._model = (name, version, digest)
        self._own[_READY] = 1.0

    def is_ready(self, part: int) -> bool:
        return self._all[part * WIDTH + _READY] == 1.0

    @property
    def active(self) -> int:
        """The number of the release that answers in every process; 0 where none was rolled out."""
        return int(self._all[_ACTIVE])

    @property
    def coming(self) -> int:
        """The release that some process takes through its rollout; 0 when none does."""
        return int(self._all[_COMING])

    @property
    def wanted(self) -> int:
        return int(self._all[_WANTED])

    def lead(self, number: int) -> bool:
        """This process rolls the release out, unless one is on its way already; 0: it is over."""
        if number and self._all[_LEADER]:
            return False
        self._all[_LEADER], self._all[_COMING] = self._part + 1 if number else 0.0, number
        self._all[_WANTED] = 0.0
        return True

    def spread(self, number: int) -> None:
        """All processes shall load it."""
        for at in range(0, len(self._all), WIDTH):
            self._all[at + _DECLINED] = 0.0
        self._all[_WANTED] = number

    def loaded(self, number: int) -> None:
        self._own[_LOADED] = number

    def declined(self, number: int) -> None:
        self._own[_DECLINED] = number

    def agreed(self, number: int) -> bool | None:
        """Whether every process that answers has loaded it; None while some have not said."""
        parts = [at for at in range(0, len(self._all), WIDTH) if self._all[at + _READY]]
        if any(self._all[at + _DECLINED] == number for at in parts):
            return False
        return True if all(self._all[at + _LOADED] == number for at in parts) else None

    def activate(self, number: int) -> None:
        """From the next question on, in every process."""
        self._all[_ACTIVE] = number
        self._own[_SWAPS] += 1.0

    def rolled_back(self) -> None:
        self._own[_ROLLBACKS] += 1.0

    def bury(self, part: int) -> None:
        """That process is no more: what it has counted stays, what it was doing does not."""
        for at in _GAUGES:
            self._all[part * WIDTH + at] = 0.0

    @property
    def refusals(self) -> dict[str, int]:
        """This process's own, by reason, since its part was first used."""
        return {reason: int(self._own[at]) for reason, at in _REFUSED.items() if self._own[at]}

    def look_at_process(self) -> None:
        """What is not counted but looked up; called now and then, so that others see it too."""
        own, usage, earlier = self._own, resource.getrusage(resource.RUSAGE_SELF), self._earlier
        for kind, attempts in guard.attempts().items():
            own[_GUARD[kind]] = earlier[_GUARD[kind]] + attempts
        own[_CPU_S] = earlier[_CPU_S] + usage.ru_utime + usage.ru_stime
        own[_MEMORY] = resident_bytes()
        own[_FILES] = len(os.listdir("/proc/self/fd"))

    @property
    def cpu_s(self) -> float:
        """Of this process and those before it, as it was last looked up."""
        return self._own[_CPU_S]

    def text(self) -> bytes:
        """Prometheus' text format, version 0.0.4, summed over all processes."""
        self.look_at_process()
        parts = self._parts()
        total = _total(parts)
        families = (*_answers(total), *_runs(total), self._info(), *_processes(parts))
        return "".join(f"{line}\n" for family in families for line in family).encode()

    def _info(self) -> "Family":
        known = dict(zip(("name", "version", "digest"), self._model, strict=True)) if self._model is not None else {}
        return _family("unjar_model_info", "gauge", "1 once it is ready", [("", known, 1.0)] if known else [])

    def statistics(self) -> dict[str, Any]:
        """As Triton's statistics extension has it. Reading and writing are not timed apart from the rest."""
        if self._model is None:
            return {"model_stats": []}
        total = _total(self._parts())
        asked = [(code, at) for route, codes in _REQUESTS.items() if route.endswith("/infer") for code, at in codes.items()]
        none = {"count": 0, "ns": 0}
        runs, name, version = int(_size(total, _RUN, RUN_S)), *self._model[:2]
        return {
            "model_stats": [
                {
                    "name": name,
                    "version": version,
                    "last_inference": int(max(part[_LAST_RUN] for _, part in self._parts()) * 1e3),
                    "inference_count": int(total[_ROWS]),
                    "execution_count": runs,
                    "inference_stats": {
                        "success": _duration(total, [at for code, at in asked if code == 200]),
                        "fail": _duration(total, [at for code, at in asked if code != 200]),
                        "queue": {"count": int(total[_BATCH]), "ns": int(total[_WAITED_S] * 1e9)},
                        "compute_input": none,
                        "compute_infer": {"count": runs, "ns": int(total[_RUN] * 1e9)},
                        "compute_output": none,
                        "cache_hit": none,
                    },
                    "batch_stats": [],
                }
            ]
        }

    def _parts(self) -> list[tuple[int, list[float]]]:
        """Of every process that ever started, its number and figures."""
        parts = [list(self._all[at : at + WIDTH]) for at in range(0, len(self._all), WIDTH)]
        return [(number, part) for number, part in enumerate(parts) if part[_STARTED]]


def resident_bytes() -> int:
    """Of this process, now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


# The suffix of a name, labels, value; and the lines of one metric. Labels need no escapes: routes and codes are ours, and a
# model's name and version hold letters, digits, '.', '_' and '-'.
Sample = tuple[str, Mapping[str, str], float]
Family = Iterator[str]


def _family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Family:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for suffix, labels, value in samples:
        pairs = ",".join(f'{label}="{said}"' for label, said in sorted(labels.items()))
        yield f"{name}{suffix}{{{pairs}}} {value!r}" if pairs else f"{name}{suffix} {value!r}"


def _answers(total: list[float]) -> Iterator[Family]:
    requests = ((route, code, _size(total, at, REQUEST_S)) for route, codes in _REQUESTS.items() for code, at in codes.items())
    yield _family("unjar_requests_total", "counter", "Answers by route and status", [
        ("", {"route": route, "code": str(code or "other")}, size) for route, code, size in requests if size
    ])  # fmt: skip
    yield _family("unjar_request_seconds", "histogram", "From a request's headers to its answer's end", [
        sample for route, codes in _REQUESTS.items() if any(_size(total, at, REQUEST_S) for at in codes.values())
        for sample in _histogram(total, codes.values(), REQUEST_S, {"route": route})
    ])  # fmt: skip
    yield _family("unjar_refused_total", "counter", "Refusals by error code", [
        ("", {"reason": reason}, total[at]) for reason, at in _REFUSED.items() if total[at]
    ])  # fmt: skip
    yield _family("unjar_guard_refused_total", "counter", "Attempts at what a server never does", [
        ("", {"kind": kind}, total[at]) for kind, at in _GUARD.items()
    ])  # fmt: skip


def _runs(total: list[float]) -> Iterator[Family]:
    for name, text, at, bounds in (
        ("unjar_model_run_seconds", "Time in the model", _RUN, RUN_S),
        ("unjar_batch_requests", "Requests that shared a run of the model", _BATCH, BATCH),
    ):
        yield _family(name, "histogram", text, _histogram(total, [at], bounds, {}))
    for name, kind, text, at in (
        ("unjar_rows_total", "counter", "Rows answered", _ROWS),
        ("unjar_waited_seconds_total", "counter", "Time requests waited for the model", _WAITED_S),
        ("unjar_waiting_requests", "gauge", "Requests that wait for the model", _WAITING),
        ("unjar_ready_processes", "gauge", "Processes that have the model", _READY),
        ("unjar_restarts_total", "counter", "Processes that died", _RESTARTS),
        ("unjar_swaps_total", "counter", "Releases that came to answer while the server ran", _SWAPS),
        ("unjar_rollbacks_total", "counter", "Releases that were stopped on their way", _ROLLBACKS),
    ):
        yield _family(name, kind, text, [("", {}, total[at])])


def _processes(parts: list[tuple[int, list[float]]]) -> Iterator[Family]:
    for name, kind, text, at in (
        ("process_resident_memory_bytes", "gauge", "Resident memory", _MEMORY),
        ("process_cpu_seconds_total", "counter", "Processor time, of those before it too", _CPU_S),
        ("process_open_fds", "gauge", "Open files and sockets", _FILES),
        ("process_start_time_seconds", "gauge", "When it started, since 1970", _STARTED),
    ):
        yield _family(name, kind, text, [("", {"process": str(number)}, part[at]) for number, part in parts])


def _total(parts: list[tuple[int, list[float]]]) -> list[float]:
    return list(map(sum, zip(*(part for _, part in parts), strict=True)))


def _size(total: list[float], at: int, bounds: tuple[float, ...]) -> float:
    return sum(total[at + 1 : at + len(bounds) + 2])


def _duration(total: list[float], places: list[int]) -> dict[str, int]:
    size = sum(_size(total, at, REQUEST_S) for at in places)
    return {"count": int(size), "ns": int(sum(total[at] for at in places) * 1e9)}


def _histogram(
    total: list[float], places: Iterable[int], bounds: tuple[float, ...], labels: Mapping[str, str]
) -> Iterator[Sample]:
    """The histograms at these places as one."""
    seconds, *counts = map(sum, zip(*(total[at : at + len(bounds) + 2] for at in places), strict=True))
    for bound, so_far in zip((*map(str, map(float, bounds)), "+Inf"), accumulate(counts), strict=True):
        yield "_bucket", {**labels, "le": bound}, so_far
    yield "_count", labels, sum(counts)
    yield "_sum", labels, seconds
