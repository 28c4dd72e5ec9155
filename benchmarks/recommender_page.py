"""python -m benchmarks.recommender_page [--measure]: writes docs/recommender.md from what was measured, or measures it first.

recommendation.json, retrieval.json and recommender.json in benchmarks/results/ are written by the benchmarks of these names,
training/metrics.json by scripts/train.
"""

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "recommender.md"
Json = dict[str, Any]


def read(name: str) -> Json:
    found: Json = json.loads((ROOT / name).read_text())
    return found


def page() -> str:
    said, found = read("benchmarks/results/recommendation.json"), read("benchmarks/results/retrieval.json")
    speed, learned = read("benchmarks/results/recommender.json"), read("training/metrics.json")
    parts = [_HEAD, *_learned(learned), *_found(found), *_better(said), *_generated(said), *_speed(speed), _LIMITS]
    return "\n".join(parts)


_HEAD = """# How good is what the recommender recommends?

Written by `python -m benchmarks.recommender_page` from results; do not edit. Every aerodynamic number here is predicted by
NeuralFoil, none is measured in a tunnel.
"""
_LIMITS = """## Limits

Sections are two-dimensional, the flow incompressible, transition free. What judges gains also made the labels that the encoder
learned from; the larger network that scores again learned from the same data. Families of sections resemble each other more
than two customers' parts may. Whole families were held out for the encoder's figures, not for the catalogue's.
"""


def _measured(said: Json) -> str:
    return f"\n{said['machine']}; Python {said['python']}, commit {said['commit']}, {said['date']}.\n"


def _learned(said: Json) -> Iterator[str]:
    held = said["held_out_families"]
    yield "## The encoder, on families that it never saw\n"
    yield f"{said['shapes']['kept']} sections, five folds, each family wholly in one; `training/metrics.json` has them all.\n"
    yield "| | found | at least |"
    yield "|---|---|---|"
    for name, text in (
        ("in_tolerance", "all 130 heights within a wind-tunnel model's tolerance after 24 coordinates"),
        ("performance_r2", "R² of 45 aerodynamic quantities from 8 coordinates"),
        ("retrieval_top1", "40 noisy, turned, scaled points find their part"),
    ):
        row = said["bounds"][name]
        yield f"| {text} | {row['found']:.3f} | {row['at_least']:.2f} |"
    yield f"| mean RMS error of a shape, % chord | {held['reconstruction']['mean_rms_percent_chord']:.4f} | |"
    yield ""


def _text(*sentences: str) -> str:
    return textwrap.fill(" ".join(sentences), 128, break_long_words=False, break_on_hyphens=False) + "\n"


def _found(said: Json) -> Iterator[str]:
    yield "## The same part, drawn carelessly or cut\n"
    times = said["queries_per_way"] // said["catalogue"]
    yield _text(
        f"Each of {said['catalogue']} parts is drawn {times} times in each way and searched among all of them: by plain",
        "distance between coordinates; and as the server does it, each part laid under the drawing as fits best, and",
        "shortened by every percent up to 12 too. A drawing that is refused counts as not found.",
    )
    yield "| drawn | plain: first, among five | as the server does it | refused |"
    yield "|---|---|---|---|"
    for name, row in said["table"].items():
        plain, more = ({key: f"{100 * row[way][key]:.1f} %" for key in ("top1", "top5")} for way in ("plain", "matched"))
        yield f"| {name} | {plain['top1']}, {plain['top5']} | **{more['top1']}**, {more['top5']} | {row['refused']} |"
    yield _measured(said)


def _better(said: Json) -> Iterator[str]:
    yield "## Better parts: the whole catalogue beside neighbours\n"
    yield _text(
        "A section asks for more L/D at the lift it is best at, Re 1e6, at most 0.5 % chord thinner, its moment at most 0.02",
        "lower, confidence at least 0.85; candidates are of other families only. What the best feasible candidate",
        "gains, by who is",
        f"looked at, for {said['queries']} sections:",
    )
    columns = "feasible | median gain | mean gain | median change |\n|---|---|---|---|---|"
    yield f"| of {said['sections']} sections | {columns}"
    yield from _ways(said["ways"])
    wider = said["of_all_sections"]
    yield "\n" + _text("The same questions among all sections of a package that only training has, most of which may not ship:")
    yield f"| of {wider['sections']} sections | {columns}"
    yield from _ways(wider["ways"])
    asked = said["asked_by_all"]
    halves = ["{:+.0f} and {:+.0f} %".format(*ways["the whole catalogue"]["middle_half"]) for ways in (wider["ways"], asked)]
    yield "\n" + _text(
        "Who asks makes the difference. Those that may ship are either far from their best, which lifts the mean, or near it,",
        f"which lowers the median: half of what they gain lies between {halves[0]}. The study whose figures are this product's",
        "bounds (+22.3 % in the median, +26.5 % in the mean, 99.2 % feasible) let 249 sections ask and does not say which.",
        f"Where every one of them asks, half of the gains lie between {halves[1]}; nine of ten draws of 249 have a median of",
        "{:+.1f} to {:+.1f} % and a mean of".format(*asked["the whole catalogue"]["median_of_study"]),
        "{:+.1f} to {:+.1f} %:".format(*asked["the whole catalogue"]["mean_of_study"]),
    )
    yield f"| asked by all {wider['sections']} | {columns}"
    yield from _ways(asked)
    yield _measured(said)


def _ways(ways: dict[str, Json]) -> Iterator[str]:
    for name, row in ways.items():
        gains = " | ".join(f"{row[key]:+.1f} %" for key in ("median_gain", "mean_gain"))
        yield f"| {name} | {100 * row['feasible']:.1f} % | {gains} | {row['median_change']:.2f} % chord |"


def _generated(said: Json) -> Iterator[str]:
    made = said["generated"]
    large, larger = made["large"], made["xxlarge"]
    yield "## Generated sections, scored again by a larger network\n"
    yield _text(
        f"{made['queries']} of these sections, {made['evaluations']} candidates each, median {made['median_s']:.2f}",
        "s. The package",
        "itself scores given and generated section at the same lift, in its size large, which the server has as",
        "`recommender/data/polar.onnx`, and",
        "in xxlarge, a separate network. *Kept* is the gain that it finds, as a share of the gain that was promised.",
    )
    yield "| | promised | large | xxlarge |"
    yield "|---|---|---|---|"
    for key in ("median_gain", "least_gain"):
        yield f"| {key.replace('_', ' ')} | {made[key]:+.1f} % | {large[key]:+.1f} % | {larger[key]:+.1f} % |"
    for key, text in (("kept_of_all", "kept of all gains together"), ("median_kept", "kept, median")):
        yield f"| {text} | | {100 * large[key]:.0f} % | {100 * larger[key]:.0f} % |"
    count = [round(one["kept_80_percent"] * made["feasible"]) for one in (large, larger)]
    yield f"| sections that keep 80 % or more | of {made['feasible']} | {count[0]} | {count[1]} |"
    yield "\n" + _text(
        f"The catalogue's best has a median gain of {made['median_gain_of_catalogue']:+.1f} % for these; the",
        "generated one is better",
        f"for {100 * made['better_than_catalogue']:.0f} %, {made['median_change']:.2f} % chord away in the median.",
        "Both networks learned",
        "from the same data, so agreement between them is no proof.",
    )


def _speed(said: Json) -> Iterator[str]:
    drag = said["drag"]
    yield "## How long it takes\n"
    yield "One server, one connection, one question after the other, the client on the same two cores.\n"
    yield "| address | p50 | p99 | answer |"
    yield "|---|---|---|---|"
    for path, row in said["addresses"].items():
        address, _, more = path.partition(" ")
        name, size = f"`{address}` {more}".strip(), f"{row['bytes'] / 1000:.1f} kB"
        yield f"| {name} | {row['p50_ms']:.1f} ms | {row['p99_ms']:.1f} ms | {size} |"
    yield (
        "\n"
        + _text(
            "On the page, in headless chromium on the same two cores, from a move of the pointer to the neighbours",
            "and the polar that",
            f"belong to it: median {drag['p50_ms']:.0f} ms, p99 {drag['p99_ms']:.0f} ms, measured {drag['measured']} times in",
            f"{drag['moves']} moves; moves that come while an earlier one is asked about are answered by the last of them.",
        )
    )
    yield "Exact search alone, the ten nearest in 24 coordinates; every part is looked at, so none is missed:\n"
    yield "| parts | p50 | p99 |"
    yield "|---|---|---|"
    for parts, row in said["search"].items():
        yield f"| {int(parts):,} | {row['p50_ms']:.2f} ms | {row['p99_ms']:.2f} ms |"
    yield _measured(said)


def main() -> None:
    if "--measure" in sys.argv[1:]:
        for name in ("retrieval", "recommendation", "recommender"):
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=True)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
