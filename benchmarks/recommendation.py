"""python -m benchmarks.recommendation [--queries N] [--generated 60]: are recommended sections better, and who else says so?

Every section but those of the largest family asks for a better one at the lift it is best at, Re 1e6, at most 0.5 % chord
thinner, its moment at most 0.02 lower, confidence at least 0.85; candidates are of other families only. Then again among all
sections of the package that only training has, once asked by the same sections and once by every one of those. Then sections
are generated for some of them, and their gain is predicted again by a larger network of NeuralFoil's (xxlarge, the package
itself in .venv-training; scripts/train makes it). Both networks learned from the same data, so this is no independent proof.
Results: benchmarks/results/recommendation.json.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.machine import described
from recommender import generation, recommendation, requirements
from recommender.catalogue import SHAPE, Catalogue, load
from recommender.polar import Flight, Polar
from recommender.recommendation import Scored
from recommender.search import Index
from recommender.workshop import Workshop
from serving.model import Model

RESULT = Path("benchmarks/results/recommendation.json")
PYTHON = Path(".venv-training/bin/python")
SIZES = ("large", "xxlarge")
# So many sections asked in the study that set the bound; drawing as many again and again tells what chance makes of so few.
STUDY = 249
Array = Any


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--queries", type=int, default=None, help="default: all")
    parser.add_argument("--generated", type=int, default=60)
    given = parser.parse_args()
    shop = Workshop.of(Model.load(Path("model.onnx")), load(), Polar())
    rng = np.random.default_rng(0)
    families, counts = np.unique(shop.catalogue.family, return_counts=True)
    # Who asks from there would be left with less than half of the catalogue.
    asking = np.flatnonzero(shop.catalogue.family != families[counts.argmax()])
    queries = rng.permutation(asking)[: given.queries]
    found: dict[str, Any] = {**described(), "queries": len(queries), "sections": len(shop.catalogue)}
    found["ways"] = all_ways(shop, queries, rng)
    if PYTHON.exists():
        wider = everything(shop)
        found["of_all_sections"] = {"sections": len(wider.catalogue), "ways": all_ways(wider, same(shop, queries, wider), rng)}
        # As in the study that set the bound: who asks is any of them, not only one that may ship.
        found["asked_by_all"] = all_ways(wider, rng.permutation(len(wider.catalogue))[: given.queries], rng)
    found["generated"] = generated(shop, queries[: given.generated])
    print(json.dumps(found["generated"], indent=1))
    if len(queries) == len(asking):
        RESULT.write_text(json.dumps(found, indent=1) + "\n")


def all_ways(shop: Workshop, queries: Array, rng: np.random.Generator) -> dict[str, Any]:
    said = [ways(shop, int(row), rng) for row in queries]
    told = {name: summary([one[name] for one in said]) for name in said[0]}
    for name, row in told.items():
        print(f"{len(shop.catalogue):5} sections, {name:36}", row, flush=True)
    return told


def everything(shop: Workshop) -> Workshop:
    """With all sections that the training-only package brings, of which most may not ship."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([PYTHON, "-m", "benchmarks.all_sections", f"{folder}/all.npz"], check=True)
        with np.load(f"{folder}/all.npz", allow_pickle=False) as arrays:
            heights, families = arrays["heights"], arrays["family"]
    sure = np.median(shop.polar.sweep(heights, np.arange(-4.0, 13.0, 4.0), Flight())["confidence"], axis=1) > 0.5
    heights, families = heights[sure], families[sure]
    names = np.char.add(families, np.arange(len(families)).astype(str))
    latents = shop.encoder.encode(heights).astype(np.float32)
    own = np.zeros(len(names), bool)
    known = Catalogue(names, names, families, families, heights.astype(np.float32), latents, own, shop.encoder.digest)
    return Workshop(shop.encoder, known, shop.polar)


def same(shop: Workshop, queries: Array, wider: Workshop) -> Array:
    """The same sections among more."""
    return np.array([Index(wider.shapes).nearest(shop.shapes[row], 1)[0][0] for row in queries])


def scored(shop: Workshop, row: int, rows: Array) -> tuple[requirements.Requirements, requirements.Candidates, Scored]:
    wanted = requirements.read({}, shop.heights[row], shop.polar)
    start = recommendation.reference(shop.heights[row], shop.polar, wanted)
    change = np.linalg.norm(shop.shapes[rows] - shop.shapes[row], axis=1)
    coarse = shop.coarse(wanted.flight)[rows]
    return wanted, start, recommendation.score(shop.heights[rows], change, start, shop.polar, wanted, coarse)


def ways(shop: Workshop, row: int, rng: np.random.Generator) -> dict[str, tuple[float, float] | None]:
    """Gain in % and change in % chord of the best feasible candidate, by how candidates are chosen."""
    others = np.flatnonzero(shop.catalogue.family != shop.catalogue.family[row])
    _, _, found = scored(shop, row, others)
    latents = shop.catalogue.latent.astype(np.float64)
    blocks = {"shape": latents[:, :SHAPE], "performance": latents[:, SHAPE:]}
    blocks = {name: block / np.sqrt(block.var(axis=0).sum()) for name, block in blocks.items()}
    blocks["shape and performance"] = np.hstack(list(blocks.values()))
    near = {name: np.argsort(np.linalg.norm(block[others] - block[row], axis=1)) for name, block in blocks.items()}
    chosen = {"10 by chance": rng.permutation(len(others))[:10]}
    chosen |= {f"10 nearest by {name}": order[:10] for name, order in near.items()}
    chosen |= {"50 nearest by shape": near["shape"][:50], "the whole catalogue": np.arange(len(others))}
    return {name: best(found, rows) for name, rows in chosen.items()}


def best(found: Scored, rows: Array) -> tuple[float, float] | None:
    # A section whose own best lift is not found again has no gain to compare; it counts as one without a feasible candidate.
    usable = rows[found.feasible[rows] & np.isfinite(found.candidates.gain[rows])]
    if not len(usable):
        return None
    top = usable[found.candidates.gain[usable].argmax()]
    return float(found.candidates.gain[top]), float(found.candidates.change[top])


def summary(said: list[tuple[float, float] | None]) -> dict[str, Any]:
    met = np.array([one for one in said if one is not None])
    told = {
        "feasible": round(len(met) / len(said), 4), "median_gain": round(float(np.median(met[:, 0])), 2),
        "mean_gain": round(float(met[:, 0].mean()), 2), "median_change": round(float(np.median(met[:, 1])), 3),
        "middle_half": np.percentile(met[:, 0], [25, 75]).round(2).tolist(),
    }  # fmt: skip
    if len(met) > 4 * STUDY:
        draws = np.random.default_rng(0).choice(met[:, 0], (2000, STUDY))
        told["median_of_study"] = np.percentile(np.median(draws, axis=1), [5, 95]).round(1).tolist()
        told["mean_of_study"] = np.percentile(draws.mean(axis=1), [5, 95]).round(1).tolist()
    return told


def generated(shop: Workshop, queries: Array) -> dict[str, Any]:
    """The best generated section for each, beside the catalogue's best, scored by each network."""
    sections, lifts, gains, seconds = [], [], [], []
    for row in queries:
        wanted, start, catalogue = scored(shop, int(row), np.arange(len(shop.catalogue)))
        began = time.perf_counter()
        _, found = generation.search(shop.shapes[row], start, wanted, shop.encoder, shop.polar, shop.room)
        seconds.append(time.perf_counter() - began)
        top, known = (best(one, np.arange(len(one.missed))) for one in (found, catalogue))
        if top is None or known is None:
            continue
        at = np.flatnonzero(found.feasible)[found.candidates.gain[found.feasible].argmax()]
        sections += [shop.heights[row], found.candidates.heights[at]]
        lifts += [wanted.lift, wanted.lift]
        gains.append((top[0], known[0], top[1]))
    told: dict[str, Any] = {
        "queries": len(queries),
        "feasible": len(gains),
        "evaluations": generation.POPULATION * generation.STEPS,
    }
    told["median_s"] = round(float(np.median(seconds)), 3)
    told["median_gain"], told["median_gain_of_catalogue"], told["median_change"] = np.median(gains, axis=0).round(3).tolist()
    told["least_gain"], told["most_gain"] = (round(float(f([g[0] for g in gains])), 2) for f in (min, max))
    told["better_than_catalogue"] = float(np.mean([one > two for one, two, _ in gains]))
    return told | rescored(np.array(sections), np.array(lifts), np.array([one for one, _, _ in gains]))


def rescored(heights: Array, lifts: Array, gains: Array) -> dict[str, Any]:
    """heights (2 n, 130): given and generated in turn."""
    told: dict[str, Any] = {}
    for size in SIZES if PYTHON.exists() else ():
        with tempfile.TemporaryDirectory() as folder:
            np.savez(f"{folder}/sections.npz", heights=heights, lift=lifts, reynolds=1e6, n_crit=9.0)
            command = [PYTHON, "-m", "benchmarks.rescored", f"{folder}/sections.npz", size]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        glide = np.array([np.nan if one is None else one for one in json.loads(done.stdout)]).reshape(-1, 2)
        again = 100 * (glide[:, 1] / glide[:, 0] - 1)
        kept = np.where(np.isfinite(again), again, 0.0) / gains
        told[size] = {
            "median_gain": round(float(np.nanmedian(again)), 2), "least_gain": round(float(np.nanmin(again)), 2),
            "not_reached": int(np.isnan(again).sum()), "median_kept": round(float(np.median(kept)), 3),
            "mean_kept": round(float(kept.mean()), 3), "kept_80_percent": round(float((kept >= 0.8).mean()), 3),
            "kept_of_all": round(float(np.nansum(again) / gains.sum()), 3),
        }  # fmt: skip
    return told


if __name__ == "__main__":
    main()
