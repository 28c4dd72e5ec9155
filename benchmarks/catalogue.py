"""python -m benchmarks.catalogue [--parts 1000000 3000000]: exact search beside the index of a large catalogue.

As many parts as said are made like known ones, in the encoder's coordinates: mixtures of two sections of the catalogue and a
little noise, so they lie in clusters and spread less along each further axis. What a batch would have answered of them is
written and indexed as `python -m recommender index` does; then two processes, one with every point in memory and one with
LanceDB, are asked the same questions in turn. Run by .venv-lance (`scripts/tool lance`), one processor each. Results:
benchmarks/results/catalogue.json and the table of docs/large-catalogue.md; exits 1 where recall@10 is below 0.99.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import described
from recommender import answers, recommendation, requirements
from recommender.catalogue import SHAPE, load
from recommender.contour import Array
from recommender.encoder import Encoder
from recommender.large import DONE, PREFIX, Large, index
from recommender.matching import laid
from recommender.polar import Flight, Polar
from recommender.search import Index
from recommender.workshop import NEAR, Workshop
from serving.model import Model

ROOT = Path(__file__).resolve().parent.parent
RESULT, PAGE = ROOT / "benchmarks/results/catalogue.json", ROOT / "docs/large-catalogue.md"
AIM = 0.99
KS = (10, 100)
QUESTIONS, SECTIONS, AT_ONCE, NOISE = 300, 15, 250_000, 0.02
PACKAGES = ("numpy", "onnxruntime", "lancedb", "pyarrow")
TABLE = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- end -->)", re.DOTALL)


def encoder() -> Encoder:
    return Encoder.of(Model.load(ROOT / "model.onnx"), load().contour.astype(np.float64))


def made(count: int, seed: int) -> Iterator[Array]:
    """Latents (n, 32), n up to AT_ONCE."""
    known, rng = load().latent.astype(np.float64), np.random.default_rng(seed)
    for at in range(0, count, AT_ONCE):
        n = min(AT_ONCE, count - at)
        first, second = rng.integers(0, len(known), (2, n))
        share = rng.uniform(-0.2, 1.2, (n, 1))
        noise = rng.standard_normal((n, known.shape[1])) * known.std(axis=0) * NOISE
        yield (known[first] * share + known[second] * (1.0 - share) + noise).astype(np.float32).astype(np.float64)


def answered(folder: Path, count: int, by: Encoder) -> None:
    """As a batch leaves it."""
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir()
    files, output = {}, by.model.signature.outputs[0].name
    for i, latents in enumerate(made(count, 0)):
        ids = pa.array(np.arange(len(latents)) + i * AT_ONCE).cast(pa.string())
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(latents.ravel()), latents.shape[1])
        name = f"part-{i:05d}.parquet"
        parquet.write_table(pa.table({"id": ids, output: vectors}), folder / name)
        files[name] = ""
    (folder / DONE).write_text(json.dumps({"model": by.digest, "files": files}))


def searcher(kind: str, count: int, address: str, by: Encoder) -> Callable[[Array, int], list[int]]:
    if kind == "lance":
        large = Large(address)
        return lambda shape, k: [int(name) for name in large.nearest(shape, k, by)[0].name]
    exact = Index(np.vstack([laid(latents[:, :SHAPE], by) for latents in made(count, 0)]))
    return lambda shape, k: exact.nearest(laid(shape, by), k)[0].tolist()


def serve(kind: str, count: int, address: str) -> None:
    """Answers the questions whose numbers come in, a line each: milliseconds and the parts found."""
    by = encoder()
    began = time.perf_counter()
    ask = searcher(kind, count, address, by)
    (questions,) = made(QUESTIONS, 1)
    ask(questions[0, :SHAPE], 10)
    print(json.dumps({"ready_s": time.perf_counter() - began}), flush=True)
    for line in sys.stdin:
        number, k = map(int, line.split())
        began = time.perf_counter()
        found = ask(questions[number, :SHAPE], k)
        took = 1000 * (time.perf_counter() - began)
        print(json.dumps({"ms": took, "found": found, "mb": _resident_mb()}), flush=True)


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Asked:
    def __init__(self, kind: str, count: int, address: str) -> None:
        command = [sys.executable, "-m", "benchmarks.catalogue", "--serve", kind, str(count), address]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready_s = self._said()["ready_s"]

    def __call__(self, number: int, k: int) -> Any:
        assert self.process.stdin
        print(number, k, file=self.process.stdin, flush=True)
        return self._said()

    def _said(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.communicate()


def measured(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        answers, address, by = Path(folder) / "out", f"{folder}/parts", encoder()
        answered(answers, count, by)
        began = time.perf_counter()
        assert index(str(answers), address, by) == count
        built = time.perf_counter() - began
        size = _mb(Path(address))
        asked = {kind: Asked(kind, count, address) for kind in ("exact", "lance")}
        said = {(kind, k): [] for k in KS for kind in asked}
        for k, questions in ((10, QUESTIONS), (100, QUESTIONS // 3)):
            for number in range(questions):
                for kind, one in asked.items():
                    said[kind, k].append(one(number, k))
        for one in asked.values():
            one.stop()
        by_id = _by_id(Large(address), count, by)
    found: dict[str, Any] = {"build_s": round(built, 1), "disk_mb": size}
    for kind, one in asked.items():
        last = said[kind, KS[-1]][-1]
        found[kind] = {"ready_s": round(one.ready_s, 2), "mb": round(last["mb"])}
        for k in KS:
            p50, p99 = np.percentile([answer["ms"] for answer in said[kind, k]], [50, 99])
            found[kind][f"of_{k}"] = {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}
    found["lance"]["by_id_ms"] = by_id
    for k in KS:
        pairs = zip(said["exact", k], said["lance", k], strict=True)
        found["lance"][f"of_{k}"]["recall"] = round(float(np.mean([_shared(a["found"], b["found"]) for a, b in pairs])), 4)
    return found


def _mb(folder: Path) -> float:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 1)


def _by_id(large: Large, count: int, by: Encoder) -> float:
    took = []
    for number in np.random.default_rng(2).integers(0, count, 50):
        began = time.perf_counter()
        part = large.part(f"{PREFIX}{number}", by)
        took.append(1000 * (time.perf_counter() - began))
        assert part is not None
        assert part.name[0] == str(number)
    return round(float(np.median(took)), 2)


def _shared(right: list[int], found: list[int]) -> float:
    return len(set(right) & set(found)) / len(right)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", type=int, nargs="+", default=[1_000_000, 3_000_000])
    parser.add_argument("--better", type=int, default=100_000, help="parts among which better ones are looked for")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve[0], int(given.serve[1]), given.serve[2])
        return 0
    found: dict[str, Any] = {
        **described(PACKAGES),
        "questions": QUESTIONS,
        "near": NEAR,
        "load": os.getloadavg()[1],
        "parts": {},
    }
    packages = Path(np.__file__).parents[1]
    found["environment_mb"] = {name: _mb(packages / name) for name in (".", "lancedb", "pyarrow")}
    for count in given.parts:
        found["parts"][str(count)] = measured(count)
        print(f"{count:,}", json.dumps(found["parts"][str(count)]), flush=True)
        RESULT.write_text(json.dumps(found, indent=1) + "\n")
    found["better"] = better(given.better, SECTIONS)
    print(json.dumps(found["better"]))
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(TABLE.sub(lambda _: table(found), PAGE.read_text()))
    return 0 if all(one["lance"]["of_10"]["recall"] >= AIM for one in found["parts"].values()) else 1


def better(count: int, sections: int) -> dict[str, Any]:
    """What the best feasible part gains, of all parts, of those near to the given section, and of those the server scores."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        model = Model.load(ROOT / "model.onnx")
        by, address = encoder(), f"{folder}/parts"
        answered(Path(folder) / "out", count, by)
        index(f"{folder}/out", address, by)
        shop = Workshop.of(model, load(), Polar(), large=Large(address))
        latents = np.vstack(list(made(count, 0)))
        heights, coarse = by.decode(latents), shop.polar.coarse(by.decode(latents), Flight())
        found: dict[str, list[tuple[int, float]]] = {"all": [], "near": [], "aimed": []}
        took = []
        for row in np.linspace(0, len(shop.catalogue) - 1, sections).astype(int):
            section = answers.given(shop, {"part": str(shop.catalogue.id[row])})
            wanted = requirements.read({}, section.heights, shop.polar)
            start = recommendation.reference(section.heights, shop.polar, wanted)
            change = np.linalg.norm(latents[:, :SHAPE] - section.latent[:SHAPE], axis=1)
            scored = recommendation.score(heights, change, start, shop.polar, wanted, coarse)
            gain = np.where(scored.feasible, scored.candidates.gain, -np.inf)
            began = time.perf_counter()
            beside = shop.beside(answers.aims(shop, section, start, wanted), wanted.flight).catalogue
            took.append(1000 * (time.perf_counter() - began))
            aimed = [int(name) for name in beside.name[beside.own]]
            for way, rows in {"all": np.arange(count), "near": np.argsort(change)[:NEAR], "aimed": np.array(aimed)}.items():
                found[way].append((len(rows), float(gain[rows].max())))
    ways = {way: _gained(said) for way, said in found.items()}
    return {"parts": count, "sections": sections, "aimed_ms": round(float(np.median(took)), 1), "ways": ways}


def _gained(said: list[tuple[int, float]]) -> dict[str, Any]:
    """A section for which no part is feasible gains nothing."""
    best = np.array([gain for _, gain in said])
    gains = np.where(np.isfinite(best), np.maximum(best, 0.0), 0.0)
    return {
        "scored": round(float(np.mean([count for count, _ in said]))),
        "feasible": round(float(np.isfinite(best).mean()), 3),
        "median": round(float(np.median(gains)), 2),
        "mean": round(float(np.mean(gains)), 2),
    }


def table(found: dict[str, Any]) -> str:
    head = "| parts | | ready after | resident | ten nearest: p50, p99 | recall | hundred nearest: p50 | recall |"
    lines = [head, "|---" * 8 + "|"]
    for count, one in found["parts"].items():
        for kind, name in (("exact", "exact, all in memory"), ("lance", "LanceDB")):
            said = one[kind]
            ten, hundred = said["of_10"], said["of_100"]
            # Exact search draws its points anew here, which says nothing of a server.
            ready = f"{said['ready_s']:.1f} s" if kind == "lance" else ""
            recall = [f"{way['recall']:.4f}" if "recall" in way else "1" for way in (ten, hundred)]
            lines.append(
                f"| {int(count):,} | {name} | {ready} | {said['mb']:,} MB | {ten['p50_ms']:.1f} ms,"
                f" {ten['p99_ms']:.1f} ms | {recall[0]} | {hundred['p50_ms']:.1f} ms | {recall[1]} |"
            )
    sizes = [
        f"{int(count):,} parts took {one['build_s']:.0f} s to index and {one['disk_mb']:,.0f} MB of disk"
        f" ({one['disk_mb'] * 1e6 / int(count):.0f} bytes a part); one is found by its id in {one['lance']['by_id_ms']:.1f} ms."
        for count, one in found["parts"].items()
    ]
    lines += ["", *sizes, "", *better_table(found["better"])]
    sizes = found["environment_mb"]
    lines += ["", f"The environment takes {sizes['.']:.0f} MB: LanceDB {sizes['lancedb']:.0f}, pyarrow {sizes['pyarrow']:.0f}."]
    made = f"{found['machine']}; Python {found['python']}, lancedb {found['packages']['lancedb']}, {found['date']};"
    made += f" load {found['load']:.0f} of other work meanwhile."
    return "\n".join([*lines, "", made]) + "\n"


def better_table(found: dict[str, Any]) -> list[str]:
    ways = {"all": "all of them", "near": "nearest to the section alone", "aimed": "as the server does it"}
    head = f"| scored, of {found['parts']:,} parts | how many | feasible | median gain | mean gain |"
    rows = [
        f"| {ways[way]} | {said['scored']:,} | {100 * said['feasible']:.0f} % |"
        f" {said['median']:+.1f} % | {said['mean']:+.1f} % |"
        for way, said in found["ways"].items()
    ]
    return [
        head,
        "|---" * 5 + "|",
        *rows,
        "",
        f"{found['sections']} sections asked, {found['aimed_ms']:.0f} ms to find whom to score.",
    ]


if __name__ == "__main__":
    sys.exit(main())
