"""python -m tests.fuzz.coverage decoder|contour CORPUS [libFuzzer options]: inputs chosen by the lines they reach.

Run by scripts/fuzz; needs atheris. The decoder is held against its plain twin, the contour reader against its own promise:
a contour or a refusal with a code.
"""

import contextlib
import math
import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["serving", "recommender"]):
    from recommender import contour, drawing
    from tests.fuzz import mutations, oracle

DATATYPES = ("FP64", "FP32", "INT64", "BYTES", "BOOL")
DECODERS = {datatype: oracle.decoder(datatype) for datatype in DATATYPES}


def decoder(data: bytes) -> None:
    """The first byte chooses the datatype and whether the text ends before the body does."""
    if not data:
        return
    datatype, body = DATATYPES[data[0] % len(DATATYPES)], data[1:]
    header = str(len(body) - data[0] // 16 * 8) if data[0] >= 128 and len(body) > data[0] // 16 * 8 else None
    found, _ = oracle.answered(DECODERS[datatype], body, header)
    if not oracle.same(found, oracle.expected(datatype, body, header)):
        raise AssertionError(f"the twin disagrees on {datatype} {header} {body!r}")


def read_contour(data: bytes) -> None:
    with contextlib.suppress(contour.ContourRefused):
        contour.normalise(drawing.read(data.decode("latin-1")).points)


def seeds(target: str) -> list[bytes]:
    """What to begin with: good requests of every datatype, and outlines in each of the forms that are read."""
    rng = random.Random(0)
    if target == "decoder":
        kinds = [(number % len(DATATYPES), mutations.good(rng, DATATYPES[number % len(DATATYPES)])) for number in range(60)]
        return [bytes([kind]) + body for kind, (body, header) in kinds if header is None]
    around = [(0.5 + 0.5 * math.cos(i / 6), 0.06 * math.sin(i / 6)) for i in range(38)]
    rows = "\n".join(f"{x:.4f} {y:.4f}" for x, y in around)
    return [
        text.encode() for text in (rows, f"name\n{rows}", f"n\n19. 19.\n{rows}", f"n\n0 1 2 3\n{rows}\nnote", f"inf 5\n{rows}")
    ]


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Half of the time by what a request is made of."""
    rng = random.Random(seed)
    if rng.random() < 0.5:
        return bytes(atheris.Mutate(data, most))
    body, _ = mutations.mutated(rng, (data[1:], None), (data[1:], None))
    return (data[:1] + body)[:most]


def main() -> None:
    target, found = sys.argv[1:3]
    for number, seed in enumerate(seeds(target)):
        (Path(found) / f"seed{number:02}").write_bytes(seed)
    wanted = {"decoder": decoder, "contour": read_contour}[target]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], wanted, custom_mutator=mutate if target == "decoder" else None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
