"""python -m benchmarks.fuzz [--inputs N] [--processes P] [--seed S]: so many odd requests, and did the decoder get one wrong?

Every input goes to the decoder that ships and to a plain twin that shares no code with it (tests/fuzz/reference.py). They must
agree to the last bit or both refuse; nothing else may be raised, and nothing may take longer than a second. What is accepted
is answered by a graph that gives back what it got, written in JSON and read again. Results: benchmarks/results/fuzz.json.
"""

import argparse
import json
import random
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from benchmarks.machine import described
from serving.protocol import Encoder
from serving.runtime import open_session
from tests.fuzz import mutations, oracle
from tests.serving import graphs

POOL = 3000
RUN_EVERY = 20
# Of the processor's time, which others on the machine do not use up; and of everybody's, for what waits.
HANG_S, STUCK_S = 1, 60


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    begun = time.monotonic()
    seeds = [given.seed + i for i in range(given.processes)]
    with ProcessPoolExecutor(given.processes) as pool:
        parts = list(pool.map(run, seeds, [given.inputs // given.processes] * given.processes))
    counts: Counter[str] = Counter()
    wrong: list[Any] = []
    for part, found in parts:
        counts.update(part)
        wrong += found
    result = {
        **described(),
        "inputs": sum(counts.values()),
        "seconds": round(time.monotonic() - begun),
        "counts": dict(counts.most_common()),
        "wrong": wrong,
    }
    print(json.dumps(result, indent=1))
    if not wrong and given.inputs >= 1_000_000:
        with open("benchmarks/results/fuzz.json", "w") as file:
            file.write(json.dumps(result, indent=1) + "\n")
    return 1 if wrong else 0


class Hang(Exception):
    pass


def _hang(*_: object) -> None:
    raise Hang


def _watch(processor_s: float, s: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, processor_s)
    signal.setitimer(signal.ITIMER_REAL, s)


def run(seed: int, inputs: int) -> tuple[Counter[str], list[Any]]:
    rng = random.Random(seed)
    signal.signal(signal.SIGPROF, _hang)
    signal.signal(signal.SIGALRM, _hang)
    counts: Counter[str] = Counter()
    wrong: list[Any] = []
    kinds = {}
    for datatype in mutations.DATATYPES:
        decoder = oracle.decoder(datatype)
        session = open_session(graphs.echo(datatype))
        pool = [mutations.good(rng, datatype) for _ in range(POOL)]
        kinds[datatype] = decoder, session, Encoder(decoder.signature, "m", "1"), pool
    for number in range(inputs):
        datatype = mutations.DATATYPES[number % len(mutations.DATATYPES)]
        decoder, session, encoder, pool = kinds[datatype]
        case = pool[rng.randrange(POOL)]
        body, header = case if rng.random() < 0.1 else mutations.mutated(rng, case, pool[rng.randrange(POOL)])
        _watch(HANG_S, STUCK_S)
        try:
            found, code = oracle.answered(decoder, body, header)
            _watch(0, 0)
            if header == "0":
                code = f"raw {code}"
            elif not oracle.same(found, oracle.expected(datatype, body, header)):
                wrong.append([datatype, body.decode("latin-1"), header, "the twin disagrees"])
            if found is not None and number % RUN_EVERY == 0 and not _goes_round(decoder, session, encoder, body, header):
                wrong.append([datatype, body.decode("latin-1"), header, "another answer"])
        except Exception as error:
            _watch(0, 0)
            code = type(error).__name__
            wrong.append([datatype, body.decode("latin-1"), header, repr(error)])
        counts[code] += 1
        if len(wrong) > 20:
            break
    return counts, wrong


def _goes_round(decoder: Any, session: Any, encoder: Encoder, body: bytes, header: str | None) -> bool:
    question = decoder.decode(body, header)
    given = question.feeds["X"]
    if len(given) == 0 or (given.dtype.kind == "f" and not np.isfinite(given).all()):
        return True
    answers = {"Y": session.run(["Y"], {"X": given})[0]}
    text, size = encoder.encode(question.form, answers)
    (entry,) = json.loads(text[:size])["outputs"]
    if given.dtype.hasobject:
        return "data" not in entry or bool(entry["data"] == given.reshape(-1).tolist())
    back = np.array(entry["data"], given.dtype) if "data" in entry else np.frombuffer(text[size:], given.dtype)
    return back.tobytes() == given.tobytes()


if __name__ == "__main__":
    sys.exit(main())
