"""python -m benchmarks.soak [--minutes M]: full load for so long, good and bad mixed: wrong answers, errors, growing memory?

Memory and descriptors are looked at every five seconds, under load and, after each half of the time, once the load has ceased:
what was allocated for the most bodies that ever came together stays while the load lasts, what leaked stays for ever. Flat is
a second half that is within 5 % of the first, under load in the median, and afterwards.
Results: benchmarks/results/soak.json.
"""

import argparse
import asyncio
import functools
import json
import random
import statistics
import sys
import time

from benchmarks.machine import described
from benchmarks.running import Server, serving
from benchmarks.traffic import Question, Tally, ask, model_of, questions

LOOK_S = 5.0
# The first seconds fill caches and buffers once.
WARM_S = 20.0
# A server gives memory back in a quiet second.
SETTLED_S = 10.0
# When, how much memory, how many descriptors.
Look = tuple[float, int, int]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="model.onnx")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--connections", type=int, default=64)
    given = parser.parse_args()
    pool = questions(model_of(given.model), "model", 4000, seed=3)
    with serving(given.model) as server:
        server.wait_for("ready")
        tally, seen, settled = asyncio.run(soak(server, given.connections, pool, given.minutes * 60))
    memory = [pss for at, pss, _ in seen if at > min(WARM_S, given.minutes * 20)]
    half = len(memory) // 2
    first, second = statistics.median(memory[:half]), statistics.median(memory[half:])
    result = {
        **described(), "minutes": given.minutes, "connections": given.connections, "requests": tally.asked,
        "counts": dict(tally.counts), "wrong": tally.wrong[:10],
        "pss_kb": {"first_half": first, "second_half": second, "most": max(memory)},
        "settled_pss_kb": settled,
        "pss_mb_by_minute": [round(pss / 1024, 1) for _, pss, _ in seen[:: max(1, round(60 / LOOK_S))]],
        "descriptors": {"least": min(files for *_, files in seen), "most": max(files for *_, files in seen)},
        "flat": second <= first * 1.05 and settled[1] <= settled[0] * 1.05,
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    passed = not tally.wrong and tally.counts["broken"] == 0 and result["flat"]
    if given.minutes >= 10:
        with open("benchmarks/results/soak.json", "w") as file:
            file.write(json.dumps(result, indent=1) + "\n")
    return 0 if passed else 1


async def soak(server: Server, connections: int, pool: list[Question], seconds: float) -> tuple[Tally, list[Look], list[int]]:
    """What came of the questions, memory under load, and what was held after each half."""
    rng = random.Random(4)
    begun = time.monotonic()
    seen: list[Look] = []
    settled: list[int] = []
    tally = Tally()

    async def look() -> None:
        while True:
            await asyncio.sleep(min(LOOK_S, seconds / 4))
            seen.append((time.monotonic() - begun, server.pss_kb(), server.descriptors()))

    def next_question(end: float) -> Question | None:
        return rng.choice(pool) if time.monotonic() < end else None

    for _ in range(2):
        looking = asyncio.create_task(look())
        end = time.monotonic() + seconds / 2
        found = await ask("127.0.0.1", server.port, connections, functools.partial(next_question, end))
        looking.cancel()
        tally.counts.update(found.counts)
        tally.wrong += found.wrong
        await asyncio.sleep(SETTLED_S)
        settled.append(server.pss_kb())
    return tally, seen, settled


if __name__ == "__main__":
    sys.exit(main())
