"""Who else wants to know of each finished question: the access log, OpenTelemetry?

Nobody by default, and then it costs nothing. An observer is told what happened, never what was asked.
"""

import logging
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from serving.logs import event

if TYPE_CHECKING:
    from serving.exchange import Exchange

# Called with the exchange, its status and its seconds, on the loop's thread.
Observer = Callable[["Exchange", int, float], None]
TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


def trace_id(traceparent: bytes | None) -> str | None:
    """The trace that a W3C traceparent header says the request belongs to."""
    match = TRACEPARENT.fullmatch(traceparent or b"")
    return match[1].decode() if match else None


def log_access(exchange: "Exchange", status: int, seconds: float) -> None:
    event(
        "request",
        route=exchange.route,
        status=status,
        ms=round(seconds * 1e3, 3),
        rows=exchange.rows,
        request_id=exchange.request_id,
        trace_id=trace_id(exchange.traceparent),
    )


def traces() -> Observer:
    """Spans for whatever provider the process has: `opentelemetry-instrument python server.py` sets one up.

    One span for each question, named by its route, a child of the asker's traceparent.
    """
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    tracer = trace.get_tracer("unjar")
    propagator = TraceContextTextMapPropagator()
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        event("traces_go_nowhere", level=logging.WARNING, remedy="start the server with opentelemetry-instrument")

    def record(exchange: "Exchange", status: int, seconds: float) -> None:
        ended = time.time_ns()
        given = exchange.traceparent
        parent = propagator.extract({"traceparent": str(given, "latin-1")} if given else {})
        attributes: dict[str, str | int] = {
            "http.route": exchange.route,
            "http.response.status_code": status,
            "unjar.rows": exchange.rows,
        }
        span = tracer.start_span(
            f"POST {exchange.route}", parent, trace.SpanKind.SERVER, attributes, start_time=ended - int(seconds * 1e9)
        )
        if status >= 500:
            span.set_status(trace.StatusCode.ERROR)
        span.end(ended)

    return record
