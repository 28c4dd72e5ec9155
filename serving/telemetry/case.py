"""How is one customer problem written down, so that the customer can read all of it and the vendor can run it again?

What came in and what went out, byte for byte; the model by its digest; versions, processor and settings, secrets masked. A
redacted case keeps shapes and counts only: it says what kind of request it was, and can no longer be run.
"""

import base64
import json
import math
import os
import platform
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from serving import VERSION, runtime
from serving.errors import Refusal
from serving.model import Model
from serving.protocol import Decoder
from serving.settings import Settings
from serving.signature import Array
from serving.telemetry.capture import Kept

FORMAT = "unjar-case/1"


class NotACase(ValueError):
    """The text says what was found."""


def case_of(kept: Kept, settings: Settings) -> dict[str, Any]:
    """All of it."""
    return _around(kept, settings) | {
        "request": {"route": kept.route, "headers": kept.head} | _content(kept.body),
        "answer": {"status": kept.status, "headers": _told(kept.reply_head)} | _content(kept.reply),
    }


def redacted(kept: Kept, settings: Settings, model: Model | None, max_rows: int) -> dict[str, Any]:
    """Shapes and counts. model: the one that was asked, where it is at hand; without it the request is not taken apart."""
    return _around(kept, settings) | {
        "redacted": True,
        "request": {"route": kept.route, "headers": sorted(kept.head), "bytes": len(kept.body)}
        | _shapes(kept, model, max_rows),
        "answer": {"status": kept.status, "bytes": len(kept.reply), "code": _code(kept)},
    }


def _around(kept: Kept, settings: Settings) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "request_id": kept.request_id,
        "time": f"{datetime.fromtimestamp(kept.time, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "model": {"digest": kept.digest},
        "server": versions(),
        "settings": masked(settings),
    }


def versions() -> dict[str, Any]:
    return {
        "unjar": VERSION,
        "onnxruntime": runtime.VERSION,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
    }


def _processor() -> dict[str, Any]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    said = dict(reversed([(a.strip(), b.strip()) for a, _, b in (line.partition(":") for line in lines)]))
    flags = set(said.get("flags", "").split())
    known = sorted(flags & {"avx", "avx2", "avx512f", "avx512_vnni", "fma", "amx_tile", "sse4_2"})
    return {"name": said.get("model name", ""), "flags": known}


def masked(settings: Settings) -> dict[str, Any]:
    """Numbers and words that this page knows as they are; of everything else only whether it is set."""
    plain = {"front", "access_log", "traces", "docs", "reports", "require_keys", "capture"}
    said: dict[str, Any] = {}
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        said[setting.name] = value if setting.name in plain or type(value) is int else bool(value)
    return said


def _content(body: bytes) -> dict[str, str]:
    """As text where it is text, so that it can be read; exact in both forms."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
    return {"text": text}


def content_of(said: dict[str, Any]) -> bytes:
    """Raises NotACase."""
    try:
        return base64.b64decode(said["base64"], validate=True) if "base64" in said else str(said["text"]).encode()
    except (KeyError, ValueError) as error:
        raise NotACase(f"holds no bytes of the request or the answer: {error}") from None


def _told(head: dict[str, str]) -> dict[str, str]:
    wanted = ("content-type", "content-encoding", "inference-header-content-length", "x-model-digest")
    return {name: head[name] for name in wanted if name in head}


def _code(kept: Kept) -> str | None:
    try:
        return str(json.loads(kept.reply)["code"]) if kept.status != 200 else None
    except (ValueError, KeyError, TypeError):
        return None


def _shapes(kept: Kept, model: Model | None, max_rows: int) -> dict[str, Any]:
    if model is None or kept.head.get("content-encoding", "identity") != "identity":
        return {}
    try:
        length = kept.head.get("inference-header-content-length")
        feeds = Decoder(model.signature, max_rows).decode(kept.body, length).feeds
    except Refusal as refusal:
        return {"refused_as": refusal.code}
    return {"inputs": [{"shape": list(array.shape), "datatype": str(array.dtype)} | counted(array) for array in feeds.values()]}


def counted(array: Array) -> dict[str, int]:
    """How many numbers are what; no number itself, and no extreme."""
    if array.dtype.hasobject:
        return {"texts": array.size, "empty": sum(not text for text in array.reshape(-1).tolist())}
    if array.dtype.kind != "f":
        return {"values": array.size, "zero": int((array == 0).sum()), "negative": int((array < 0).sum())}
    size = np.abs(array[np.isfinite(array) & (array != 0)])
    tenths = np.bincount((np.floor(np.log10(size)) + 400).astype(int)) if size.size else np.zeros(0, int)
    # An order of magnitude that few numbers have would tell of them.
    orders = {f"1e{place - 400}": int(count) for place, count in enumerate(tenths) if count >= math.isqrt(array.size) + 5}
    return {
        "values": array.size, "nan": int(np.isnan(array).sum()), "infinite": int(np.isinf(array).sum()),
        "zero": int((array == 0).sum()), "negative": int((array < 0).sum()), **orders,
    }  # fmt: skip
