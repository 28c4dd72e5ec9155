"""Do the figures say what happened, and nothing a client chose?"""

import re
import subprocess
import sys
import threading
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving import guard
from serving.metrics import REQUEST_S, WIDTH, Metrics
from tests.serving import graphs
from tests.serving.asking import ROOT, Ask, asker, question

INFER = "/v2/models/test/infer"


def figures(ask: Ask) -> dict[str, float]:
    return read(ask("GET", "/metrics").text)


def read(text: str) -> dict[str, float]:
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_answers_rows_and_refusals_are_counted() -> None:
    ask = asker(graphs.linear())
    ask("POST", INFER, json=question([0] * 6, [2, 3]))
    ask("POST", INFER, content=b"{")
    ask("GET", "/v2/health/live")
    now = figures(ask)
    assert now["unjar_requests_total 200 /v2/models/{name}/infer"] == 1
    assert now["unjar_requests_total 400 /v2/models/{name}/infer"] == 1
    assert now["unjar_requests_total 200 /v2/health/live"] == 1
    assert now["unjar_refused_total invalid_json"] == 1
    assert now["unjar_rows_total"] == 2
    assert now["unjar_model_run_seconds_count"] == 1
    assert now["unjar_request_seconds_count /v2/models/{name}/infer"] == 2
    assert now["unjar_guard_refused_total unpickling"] == 0


def test_the_model_is_named_by_its_digest() -> None:
    ask = asker(graphs.linear())
    digest = ask("GET", "/v2/models/test").json()["properties"]["digest"]
    assert figures(ask)[f"unjar_model_info {digest} test {digest[:12]}"] == 1


def test_addresses_nobody_has_share_one_label() -> None:
    ask = asker(graphs.linear())
    for i in range(20):
        ask("GET", f"/secret-{i}")
    text = ask("GET", "/metrics").text
    assert "secret" not in text
    assert re.search(r'unjar_requests_total\{code="404",route="other"\} 20\.0', text)


def test_every_figure_is_documented() -> None:
    ask = asker(graphs.linear())
    ask("POST", INFER, json=question([0] * 3, [1, 3]))
    ask("POST", INFER, content=b"{")
    found = {}
    for family in text_string_to_metric_families(ask("GET", "/metrics").text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `((?:unjar|process)_\w+)` \| (.*?) ?\|", text, re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == found


def store(parts: int) -> "memoryview[Any]":
    return memoryview(bytearray(8 * WIDTH * parts)).cast("d")


def busy() -> Metrics:
    """Every figure has something to say."""
    metrics = Metrics()
    metrics.request(INFER.replace("test", "{name}"), 200, 0.003)
    metrics.refused("invalid_json")
    metrics.ran(3, 2, 0.001, 0.002)
    metrics.ready("test", "1", "abc")
    return metrics


def test_a_histogram_counts_each_request_once_at_or_below_its_bound() -> None:
    metrics = Metrics()
    for seconds in (0.0, 0.0001, 0.00011, 10.0, 10.1):
        metrics.request("/metrics", 200, seconds)
    now = read(metrics.text().decode())
    at = {bound: now[f"unjar_request_seconds_bucket {bound} /metrics"] for bound in (*map(str, REQUEST_S), "+Inf")}
    assert (at["0.0001"], at["0.00025"], at["5.0"], at["10.0"], at["+Inf"]) == (2, 3, 3, 4, 5)
    assert now["unjar_request_seconds_count /metrics"] == 5
    assert now["unjar_request_seconds_sum /metrics"] == pytest.approx(20.10021)


def test_an_unforeseen_status_or_route_is_counted_as_other() -> None:
    metrics = Metrics()
    metrics.request("/metrics", 418, 0.1)
    metrics.request("/made/up", 200, 0.1)
    now = read(metrics.text().decode())
    assert now["unjar_requests_total other /metrics"] == 1
    assert now["unjar_requests_total 200 other"] == 1


def test_two_threads_lose_no_count() -> None:
    metrics, before = Metrics(), sys.getswitchinterval()

    def many() -> None:
        for _ in range(20_000):
            metrics.ran(1, 1, 1e-4, 0.0)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=many) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    now = read(metrics.text().decode())
    assert (now["unjar_rows_total"], now["unjar_model_run_seconds_count"]) == (40_000, 40_000)


def test_whoever_is_asked_answers_for_all() -> None:
    memory = store(3)
    first, second = Metrics(memory, 1), Metrics(memory, 2)
    first.ran(3, 1, 0.001, 0.0)
    second.ran(4, 1, 0.001, 0.0)
    second.waiting(2)
    for metrics in (first, second):
        now = read(metrics.text().decode())
        assert (now["unjar_rows_total"], now["unjar_waiting_requests"]) == (7, 2)
        assert "process_start_time_seconds 0" not in now


def test_what_a_dead_process_counted_stays_and_what_it_was_doing_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = store(2)
    supervisor, dead = Metrics(memory, 0), Metrics(memory, 1)
    monkeypatch.setattr(guard, "attempts", lambda: {"unpickling": 2, "process": 0, "code": 0})
    dead.ready("test", "1", "abc")
    dead.ran(3, 1, 0.001, 0.0)
    dead.waiting(5)
    dead.look_at_process()
    monkeypatch.setattr(guard, "attempts", lambda: dict.fromkeys(guard.KINDS, 0))
    supervisor.bury(1)
    now = read(supervisor.text().decode())
    assert (now["unjar_rows_total"], now["unjar_waiting_requests"], now["unjar_ready_processes"]) == (3, 0, 0)
    assert now["process_resident_memory_bytes 1"] == 0
    used_s = 2 * now["process_cpu_seconds_total 1"]
    returned = Metrics(memory, 1)
    returned.ran(1, 1, 0.001, 0.0)
    now = read(returned.text().decode())
    assert (now["unjar_rows_total"], now["unjar_guard_refused_total unpickling"]) == (4, 2)
    # Both lives are this process's, so that its time counts twice.
    assert now["process_cpu_seconds_total 1"] >= used_s > 0


def test_statistics_tell_answers_from_failures() -> None:
    metrics = busy()
    metrics.request("/v2/models/{name}/infer", 400, 0.25)
    (model,) = metrics.statistics()["model_stats"]
    assert (model["name"], model["version"], model["inference_count"], model["execution_count"]) == ("test", "1", 3, 1)
    assert model["inference_stats"]["success"] == {"count": 1, "ns": 3_000_000}
    assert model["inference_stats"]["fail"] == {"count": 1, "ns": 250_000_000}
    assert model["inference_stats"]["queue"] == {"count": 2, "ns": 2_000_000}
    assert model["inference_stats"]["compute_infer"] == {"count": 1, "ns": 1_000_000}


def test_figures_need_no_library() -> None:
    code = (
        "import sys; from serving.metrics import Metrics; Metrics().text(); "
        "print([name for name in ('prometheus_client', 'numpy', 'pickle', 'multiprocessing') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"
