"""python -m benchmarks.wire_fuzz [--requests N]: odd requests at a running server, by the byte.

Nine of ten are odd bodies in good HTTP, of which each must get a whole answer and leave the connection in use; the tenth is odd
from its first byte, and gets whatever answers or an end. No 5xx, no answer that is not in the protocol's shape, no silence; the
server is asked a good question all along. Results: benchmarks/results/wire_fuzz.json.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.machine import described
from benchmarks.running import serving
from benchmarks.traffic import model_of, questions, read_answer
from tests.fuzz import mutations

CONNECTIONS = 16
SILENCE_S = 10
HEADS = (
    b"POST /v2/models/model/infer HTTP/1.1\r\n", b"GET /v2/health/live HTTP/1.1\r\n", b"POST /v2/models/x/infer HTTP/1.1\r\n",
    b"HEAD /v2 HTTP/1.1\r\n", b"POST /v2/models/model/infer HTTP/1.0\r\n", b"GET /v2/models/model HTTP/1.1\r\n",
)  # fmt: skip
LINES = (
    b"host: a\r\n", b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"content-encoding: gzip\r\n",
    b"inference-header-content-length: 5\r\n", b"expect: 100-continue\r\n", b"connection: close\r\n",
    b"accept-encoding: gzip\r\n", b"x-request-id: a\r\n", b"x-request-timeout-ms: 1\r\n", b"upgrade: h2c\r\n",
    b"content-length: 99999999999\r\n",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=500_000)
    given = parser.parse_args()
    begun = time.monotonic()
    with serving("model.onnx", UNJAR_MAX_CONNECTIONS="4000") as server:
        server.wait_for("ready")
        counts, wrong = asyncio.run(fuzz(server.port, given.requests))
        failures = server.events("request_failed")
    result = {
        **described(),
        "requests": sum(counts.values()),
        "seconds": round(time.monotonic() - begun),
        "counts": dict(counts.most_common()),
        "wrong": wrong[:20],
        "failures_in_the_log": len(failures),
    }
    print(json.dumps(result, indent=1))
    passed = not wrong and not failures
    if passed and given.requests >= 100_000:
        with open("benchmarks/results/wire_fuzz.json", "w") as file:
            file.write(json.dumps(result, indent=1) + "\n")
    return 0 if passed else 1


async def fuzz(port: int, requests: int) -> tuple[Counter[str], list[Any]]:
    counts: Counter[str] = Counter()
    wrong: list[Any] = []
    good = questions(model_of("model.onnx"), "model", 50, seed=8, bad=0.0, most_rows=3)

    async def one(seed: int) -> None:
        rng = random.Random(seed)
        pool = [mutations.good(rng, "FP64") for _ in range(500)]
        reader = writer = None
        for number in range(requests // CONNECTIONS):
            body, header = mutations.mutated(rng, rng.choice(pool), rng.choice(pool))
            if number % 10 == 9:
                await odd(rng, body)
                continue
            if writer is None or reader is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            asked = rng.choice(good)
            more = b"" if header is None else b"inference-header-content-length: %b\r\n" % header.encode()
            writer.write(HEADS[0] + b"host: a\r\n%bcontent-length: %d\r\n\r\n%b" % (more, len(body), body))
            try:
                async with asyncio.timeout(SILENCE_S):
                    judge(*await read_answer(reader), body)
                    if number % 7 == 0:
                        writer.write(asked.sent)
                        if (await read_answer(reader))[1] != asked.body:
                            wrong.append(["a good question got another answer", body.decode("latin-1")])
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                wrong.append([repr(error), body.decode("latin-1")])
                writer.close()
                reader = writer = None
        if writer is not None:
            writer.close()

    async def odd(rng: random.Random, body: bytes) -> None:
        """A request that is odd from its first byte, on a connection of its own."""
        text = rng.choice(HEADS) + b"".join(rng.choice(LINES) for _ in range(rng.randrange(5))) + b"\r\n" + body
        text, _ = mutations.mutated(rng, (text, None), (body, None))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(text)
            if writer.can_write_eof():
                writer.write_eof()
            async with asyncio.timeout(SILENCE_S):
                said = await reader.read(-1)
            counts["odd"] += 1
            statuses = {line[9:12] for line in said.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")}
            wrong.extend(
                [str(status), text.decode("latin-1")] for status in statuses if status[:1] == b"5" and status != b"503"
            )
        except TimeoutError:
            wrong.append(["silence", text.decode("latin-1")])
        except OSError:
            counts["odd, cut off"] += 1
        finally:
            writer.close()

    def judge(status: int, answer: bytes, body: bytes) -> None:
        counts[str(status)] += 1
        if status != 200 and not (400 <= status < 500 and {"error", "code", "request_id"} == set(json.loads(answer))):
            wrong.append([f"status {status}: {answer[:100]!r}", body.decode("latin-1")])

    await asyncio.gather(*(one(seed) for seed in range(CONNECTIONS)))
    return counts, wrong


if __name__ == "__main__":
    sys.exit(main())
