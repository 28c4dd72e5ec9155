"""Do the access log and OpenTelemetry tell what happened, and nothing that was asked?"""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving import observers
from serving.observers import log_access, trace_id
from tests.serving import graphs
from tests.serving.asking import Ask, Start, asker, question

INFER = "/v2/models/test/infer"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (PARENT, TRACE),
        (f"01-{TRACE}-{SPAN}-01-more", TRACE),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (PARENT.upper(), None),
        (PARENT[:-1], None),
        ("", None),
    ],
)
def test_a_traceparent_is_read_as_w3c_writes_it(header: str, wanted: str | None) -> None:
    assert trace_id(header.encode()) == wanted


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def observed(observer: observers.Observer) -> Ask:
    ask = asker(graphs.linear())
    ask.front.desk.observers = (observer,)  # type: ignore[attr-defined]
    return ask


def test_a_question_is_a_span_of_the_askers_trace(spans: InMemorySpanExporter) -> None:
    ask = observed(observers.traces())
    ask("POST", INFER, json=question([0] * 6, [2, 3]), headers={"traceparent": PARENT})
    ask("POST", INFER, json={})
    good, bad = spans.get_finished_spans()
    assert good.name == "POST /v2/models/{name}/infer"
    assert f"{good.context.trace_id:032x}" == TRACE
    assert f"{good.parent.span_id:016x}" == SPAN  # type: ignore[union-attr]
    assert dict(good.attributes or {}) == {
        "http.route": "/v2/models/{name}/infer", "http.response.status_code": 200, "unjar.rows": 2,
    }  # fmt: skip
    assert bad.parent is None
    assert (bad.attributes or {})["http.response.status_code"] == 400


def test_spans_that_nobody_takes_are_warned_of(caplog: Any) -> None:
    observers.traces()
    assert caplog.records[-1].message == "traces_go_nowhere"


def test_the_access_log_says_what_happened_and_nothing_that_was_asked(caplog: Any) -> None:
    caplog.set_level("INFO", "unjar")
    ask = observed(log_access)
    answer = ask("POST", INFER, json=question([4711.5, 2, 3], id="secret"), headers={"traceparent": PARENT})
    line = next(record.fields for record in caplog.records if record.message == "request")
    assert line.pop("ms") >= 0
    assert line == {
        "route": "/v2/models/{name}/infer", "status": 200, "rows": 1, "request_id": answer.headers["x-request-id"],
        "trace_id": TRACE,
    }  # fmt: skip


def test_the_server_logs_access_and_imports_no_telemetry_unless_told(start: Start) -> None:
    quiet, telling = start(graphs.linear()), start(graphs.linear(), UNJAR_ACCESS_LOG="on")
    for server in (quiet, telling):
        assert httpx.post(f"{server.url}{INFER}", json=question([1, 2, 3])).status_code == 200
        server.stop()
    assert not [line for line in quiet.events() if line["event"] == "request"]
    (line,) = [line for line in telling.events() if line["event"] == "request"]
    assert line["status"] == 200
    assert re.fullmatch("[0-9a-f]{32}", line["request_id"])
