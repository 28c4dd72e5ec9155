"""python -m tests.fuzz.coverage decoder|contour CORPUS [libFuzzer options]: inputs chosen by the lines they reach.

Run by scripts/fuzz; needs atheris. The decoder is held against its plain twin, the contour reader against its own promise:
a contour or a refusal with a code.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["serving", "recommender"]):
    from recommender import contour
    from tests.fuzz import oracle

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
        contour.normalise(contour.read(data.decode("latin-1")).points)


def main() -> None:
    target = {"decoder": decoder, "contour": read_contour}[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
