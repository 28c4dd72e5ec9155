"""python -m benchmarks.crosstalk [--requests N] [--connections C]: does every answer belong to its question?

Concurrent requests with different rows, sizes, formats and errors, each with an answer known to the last byte.
Results: benchmarks/results/crosstalk.json.
"""

import argparse
import asyncio
import json
import random
import sys
import time

from benchmarks.machine import described
from benchmarks.running import serving
from benchmarks.traffic import Question, Tally, ask, model_of, questions


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="model.onnx")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--different", type=int, default=4000)
    given = parser.parse_args()
    pool = questions(model_of(given.model), "model", given.different, seed=1)
    result = {**described(), "different_questions": len(pool), "connections": given.connections}
    failed = False
    for front in ("fast", "asgi"):
        with serving(given.model, UNJAR_FRONT=front) as server:
            server.wait_for("ready")
            begun = time.monotonic()
            tally = crossed(server.port, given.connections, pool, given.requests)
            result[front] = {
                "requests": tally.asked, "seconds": round(time.monotonic() - begun, 1), "counts": dict(tally.counts),
                "wrong": tally.wrong[:10],
            }  # fmt: skip
        failed |= bool(tally.wrong) or tally.counts["broken"] > 0
    print(json.dumps(result, indent=1))
    if not failed and given.requests >= 100_000:
        with open("benchmarks/results/crosstalk.json", "w") as file:
            file.write(json.dumps(result, indent=1) + "\n")
    return 1 if failed else 0


def crossed(port: int, connections: int, pool: list[Question], requests: int, host: str = "127.0.0.1") -> Tally:
    rng = random.Random(2)
    left = requests

    def following() -> Question | None:
        nonlocal left
        left -= 1
        return rng.choice(pool) if left >= 0 else None

    return asyncio.run(ask(host, port, connections, following))


if __name__ == "__main__":
    sys.exit(main())
