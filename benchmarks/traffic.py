"""What do clients send, good and bad, and is each answer the answer to its own question?

Every question differs from every other and its whole answer is known beforehand, so that an answer that went to the wrong
client, or a bit that fell over, is a difference of bytes. Used by crosstalk, soak and kill.
"""

import asyncio
import gzip
import json
import random
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from serving.model import Model
from serving.protocol import HEADER, Encoder, Form
from serving.signature import Array

ERRORS: list[tuple[bytes, str]] = [
    (b"{", "invalid_json"),
    (b"", "invalid_json"),
    (b'{"inputs":[]}', "invalid_request"),
    (b'{"inputs":[{"name":"nobody","datatype":"FP64","shape":[1,1],"data":[1]}]}', "invalid_input"),
    (b'{"inputs":[{"name":"X","datatype":"FP64","shape":[1000000000,130],"data":[1]}]}', "too_many_rows"),
    (b"[" * 100_000, "invalid_json"),
]


@dataclass(frozen=True)
class Question:
    """`body` is the whole answer's, or None where only the refusal's code is known."""

    sent: bytes
    status: int
    body: bytes | None
    code: str | None


def questions(model: Model, name: str, count: int, seed: int, bad: float = 0.1, most_rows: int = 300) -> list[Question]:
    """So many different ones."""
    rng, random_rows = random.Random(seed), np.random.default_rng(seed)
    encoder = Encoder(model.signature, name, model.version)
    return [
        _bad(rng, name) if rng.random() < bad else _good(rng, random_rows, model, encoder, name, most_rows)
        for _ in range(count)
    ]


def _bad(rng: random.Random, name: str) -> Question:
    body, code = rng.choice(ERRORS)
    return Question(_http(name, body, []), 413 if code == "too_many_rows" else 400, None, code)


def _good(rng: random.Random, draw: np.random.Generator, model: Model, encoder: Encoder, name: str, most_rows: int) -> Question:
    tensor, output = model.signature.inputs[0], model.signature.outputs[0]
    seen = model.verification.rows[tensor.name]
    count = rng.choice((1, 1, 1, 1, 2, 3, 8, 30, rng.randint(1, most_rows)))
    # Near rows the model knows, each its own.
    rows = (seen[draw.integers(0, len(seen), count)] * (1 + 1e-3 * draw.random((count, 1)))).astype(tensor.dtype)
    identity = f"{rng.getrandbits(64):x}" if rng.random() < 0.5 else None
    binary_in, binary_out, packed = rng.random() < 0.3, rng.random() < 0.3, rng.random()
    body, headers = _body(rng, tensor.name, tensor.datatype, rows, identity, binary_in, binary_out)
    if packed < 0.1:
        body, headers = (gzip.compress(body, 1), [*headers, "content-encoding: gzip"])
    elif packed < 0.15:
        body, headers = (zlib.compress(body, 1), [*headers, "content-encoding: deflate"])
    form = Form(identity, [], [(output, binary_out)], None, count)
    return Question(_http(name, body, headers), 200, encoder.encode(form, model.run({tensor.name: rows})).body, None)


def _body(
    rng: random.Random, name: str, datatype: str, rows: Array, identity: str | None, binary_in: bool, binary_out: bool
) -> tuple[bytes, list[str]]:
    entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(rows.shape)}
    if binary_in:
        entry["parameters"] = {"binary_data_size": rows.nbytes}
    else:
        entry["data"] = (rows if rng.random() < 0.5 else rows.reshape(-1)).tolist()
    document: dict[str, Any] = {"inputs": [entry]}
    if identity is not None:
        document["id"] = identity
    if binary_out:
        document["parameters"] = {"binary_data_output": True}
    text = json.dumps(document, separators=rng.choice(((",", ":"), (", ", ": ")))).encode()
    return (text + rows.tobytes(), [f"{HEADER}: {len(text)}"]) if binary_in else (text, [])


def _http(name: str, body: bytes, headers: list[str]) -> bytes:
    lines = [f"POST /v2/models/{name}/infer HTTP/1.1", "host: test", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Tally:
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def asked(self) -> int:
        return self.counts.total()

    def judge(self, question: Question, status: int, body: bytes) -> None:
        self.counts[str(status)] += 1
        if status != question.status:
            self.wrong.append(f"status {status} for {question.status}: {body[:200]!r}")
        elif question.body is not None and body != question.body:
            self.wrong.append(f"another answer: {body[:100]!r}")
        elif question.code is not None and json.loads(body)["code"] != question.code:
            self.wrong.append(f"another refusal than {question.code}: {body[:200]!r}")


async def ask(host: str, port: int, connections: int, next_question: Callable[[], Question | None]) -> Tally:
    """Until `next_question` has none left; a connection that breaks is counted and made again."""
    tally = Tally()

    async def one() -> None:
        reader = writer = None
        while (question := next_question()) is not None:
            try:
                if writer is None or reader is None:
                    reader, writer = await asyncio.open_connection(host, port, limit=1 << 24)
                writer.write(question.sent)
                tally.judge(question, *await read_answer(reader))
            except (OSError, asyncio.IncompleteReadError):
                tally.counts["broken"] += 1
                if writer is not None:
                    writer.close()
                reader = writer = None
                await asyncio.sleep(0.01)
        if writer is not None:
            writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return tally


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    at = head.index(b"\r\ncontent-length: ") + 18
    length = int(head[at : head.index(b"\r", at)])
    return int(head[9:12]), await reader.readexactly(length)


def model_of(path: str) -> Model:
    return Model.load(Path(path))
