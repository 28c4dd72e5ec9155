"""python -m benchmarks.kill: one of two processes is killed under load: who notices, and for how long?

Results: benchmarks/results/kill.json.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from typing import Any

from benchmarks.machine import described
from benchmarks.running import serving
from benchmarks.traffic import Question, ask, model_of, questions

SECONDS = 20.0
CONNECTIONS = 32


def main() -> int:
    pool = questions(model_of("model.onnx"), "model", 1000, seed=5, most_rows=30)
    with serving("model.onnx", "--processes", "2") as server:
        server.wait_for("ready", 2)
        tally, gap_s = asyncio.run(killed(server.port, server.pids()[1], pool))
        back = server.wait_for("ready", 3)
        died = server.events("process_died")[0]
    result = {
        **described(), "seconds": SECONDS, "connections": CONNECTIONS, "requests": tally.asked, "counts": dict(tally.counts),
        "wrong": tally.wrong[:10], "longest_time_without_an_answer_s": round(gap_s, 3), "died": died["time"],
        "ready_again": back["time"],
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    passed = not tally.wrong and tally.counts["broken"] <= CONNECTIONS
    if passed:
        with open("benchmarks/results/kill.json", "w") as file:
            file.write(json.dumps(result, indent=1) + "\n")
    return 0 if passed else 1


async def killed(port: int, pid: int, pool: list[Question]) -> tuple[Any, float]:
    rng = random.Random(6)
    begun = last = time.monotonic()
    longest = 0.0

    def following() -> Question | None:
        nonlocal last, longest
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        return rng.choice(pool) if now - begun < SECONDS else None

    asyncio.get_running_loop().call_later(SECONDS / 2, os.kill, pid, signal.SIGKILL)
    return await ask("127.0.0.1", port, CONNECTIONS, following), longest


if __name__ == "__main__":
    sys.exit(main())
