"""What does the recommender say to each question, as plain values that JSON can write?

One function for each address. Lengths are in % chord unless a name says otherwise, heights and outlines in chords.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from recommender import contour, drawing, generation, geometry, polar, recommendation, requirements, trailing
from recommender.catalogue import SHAPE, Catalogue
from recommender.contour import Array, Contour
from recommender.drawing import ContourRefused
from recommender.large import PREFIX
from recommender.matching import Match
from recommender.polar import Flight
from recommender.questions import Flown
from recommender.recommendation import Rows, Scored
from recommender.requirements import Candidates, Requirements
from recommender.trailing import Extension
from recommender.workshop import Workshop
from serving.errors import NotFound, shown

Json = dict[str, Any]
# Parts of a large catalogue are scored that are near to the given section, or to one of so many that a short search generates.
AIMS, AIMED_STEPS = 8, 20


@dataclass(frozen=True)
class Given:
    """A section to work with: heights (130,), `latent` (32,); how an outline was drawn; `longer`: how it may go on."""

    name: str
    heights: Array
    latent: Array
    drawn: Contour | None = None
    points: int = 0
    longer: Extension | None = None


def given(shop: Workshop, shape: Mapping[str, Any]) -> Given:
    """Raises ContourRefused, or NotFound for a part that is not in the catalogue."""
    if shape.get("dat") is not None:
        return _drawn(shop, drawing.read(shape["dat"]), bool(shape.get("extend")))
    if shape.get("points") is not None:
        return _drawn(shop, drawing.from_points(shape["points"]), bool(shape.get("extend")))
    if shape.get("part") is not None:
        parts, row = _find(shop, shape["part"])
        heights, latent = (values[row].astype(np.float64) for values in (parts.contour, parts.latent))
        return Given(str(parts.name[row]), heights, latent)
    if shape.get("latent") is not None:
        heights = shop.encoder.decode(np.array([shape["latent"]], dtype=np.float64))[0]
    else:
        heights = np.array(shape["heights"], dtype=np.float64)
    why = geometry.fault(heights)
    if why is not None:
        where, _, message = why.rpartition(": ")
        raise ContourRefused("not_a_section", where or "shape", message)
    if shape.get("latent") is not None:
        return Given("", heights, shop.encoder.encode(heights[None])[0])
    return _extended(shop, Given("", heights, shop.encoder.encode(heights[None])[0]), bool(shape.get("extend")))


def _drawn(shop: Workshop, outline: drawing.Outline, extend: bool) -> Given:
    """Raises ContourRefused."""
    found = contour.normalise(outline.points)
    latent = shop.encoder.encode(found.heights[None])[0]
    return _extended(shop, Given(outline.name, found.heights, latent, found, len(outline.points)), extend)


def _extended(shop: Workshop, section: Given, extend: bool) -> Given:
    """With the way in which it may go on; where told so, as it goes on. Raises ContourRefused where it closes."""
    longer = trailing.extension(section.heights)
    if not extend:
        return replace(section, longer=longer)
    if longer is None:
        raise ContourRefused("not_cut", "trailing edge", "it closes by itself, there is nothing to extend")
    return replace(section, heights=longer.heights, latent=shop.encoder.encode(longer.heights[None])[0])


def encode(shop: Workshop, section: Given) -> Json:
    rebuilt = shop.encoder.decode(section.latent[None])[0]
    distance = float(shop.room.distance(section.latent[None, :SHAPE])[0])
    percentile = 100.0 * float(np.searchsorted(shop.novelties, distance)) / len(shop.novelties)
    return {
        "name": section.name,
        "model": {"digest": shop.encoder.digest, "version": shop.encoder.model.version},
        **_shape(section.heights),
        "latent": _round(section.latent, 6),
        "drawing": None if section.drawn is None else _drawing(section.drawn, section.points),
        "trailing_edge": _trailing_edge(section),
        "residual": round(100.0 * float(np.sqrt(np.mean((rebuilt - section.heights) ** 2))), 5),
        "novelty": {"distance": round(distance, 3), "percentile": round(percentile, 1)},
    }


def followed(shop: Workshop, section: Given, k: int | None, flown: Flown | None) -> Json:
    """What `encode` says, and in the same answer what `similar` and `polars` do where they are asked too."""
    said = encode(shop, section)
    if k is not None:
        said["similar"] = similar(shop, section, k)
    if flown is not None:
        said["polar"] = polars(shop, section, flown.reynolds, flown.n_crit, flown.alphas)
    return said


def similar(shop: Workshop, section: Given, k: int) -> Json:
    shape, searched = section.latent[:SHAPE], len(shop.matcher)
    found = [(shop.catalogue, one) for one in shop.matcher.nearest(shape, k)]
    if shop.large is not None:
        near, distances = shop.large.nearest(shape, k, shop.encoder)
        found += [(near, Match(row, float(distance), 0.0)) for row, distance in enumerate(distances)]
        found = sorted(found, key=lambda item: item[1].worth)[:k]
        searched += shop.large.count(shop.encoder)
    told = [
        {**_part(parts, one.row), "distance": round(one.distance, 4), "heights": _round(parts.contour[one.row], 6)}
        | {"matched": f"cut by {100 * one.cut:.0f} %" if one.cut else "as drawn"}
        for parts, one in found
    ]
    return {"parts": told, "searched": searched}


def polars(shop: Workshop, section: Given, reynolds: Sequence[float], n_crit: float, alphas: Sequence[float] | None) -> Json:
    angles = polar.angles(alphas)
    found = []
    for one in reynolds:
        said = shop.polar.sweep(section.heights[None], angles, Flight(one, n_crit))
        values = {name: values[0] for name, values in said.items()}
        values["CD"] = np.exp(values.pop("ln_CD"))
        found.append({"reynolds": one, "alpha": angles.tolist(), **{name: _round(v, 6) for name, v in values.items()}})
    return {"n_crit": n_crit, **_caveat(), "polars": found}


def recommend(shop: Workshop, section: Given, wishes: Mapping[str, float | None], k: int) -> Json:
    wanted = requirements.read(wishes, section.heights, shop.polar)
    start = recommendation.reference(section.heights, shop.polar, wanted)
    shop = shop.beside(aims(shop, section, start, wanted), wanted.flight)
    change = np.linalg.norm(shop.shapes - section.latent[:SHAPE], axis=1)
    scored = recommendation.score(shop.heights, change, start, shop.polar, wanted, shop.coarse(wanted.flight))
    told = _Teller(shop, wanted, scored)
    near = np.argsort(change, kind="stable")[:k]
    return {
        "reference": told.reference(section, start),
        "requirements": wanted.describe(),
        "scored": len(scored.missed),
        "feasible": int(scored.feasible.sum()),
        "nearest": told.parts(near, "nearest"),
        "better": told.parts(recommendation.front(scored, k), "better"),
        "nearest_miss": told.miss("nearest"),
        **_caveat(),
    }


def aims(shop: Workshop, section: Given, start: Candidates, wanted: Requirements) -> Array:
    """Shape blocks (n, 24) about which a large catalogue is looked through: the section's own, and of what would be better."""
    own = section.latent[None, :SHAPE]
    if shop.large is None:
        return own
    latents, scored = generation.search(own[0], start, wanted, shop.encoder, shop.polar, shop.room, steps=AIMED_STEPS)
    return np.vstack([own, latents[recommendation.front(scored, AIMS)]])


def generate(
    shop: Workshop, section: Given, wishes: Mapping[str, float | None], k: int, seed: int, steps: int,
    heard: Callable[[Json], bool] = lambda progress: True,
) -> Json:  # fmt: skip
    """`heard` is told how far the search is, and ends it by returning False."""
    wanted = requirements.read(wishes, section.heights, shop.polar)
    start = recommendation.reference(section.heights, shop.polar, wanted)
    latents, scored = generation.search(
        section.latent[:SHAPE], start, wanted, shop.encoder, shop.polar, shop.room, seed, steps,
        lambda progress: heard(asdict(progress)),
    )  # fmt: skip
    told = _Teller(shop, wanted, scored, latents)
    return {
        "reference": told.reference(section, start),
        "requirements": wanted.describe(),
        "scored": len(scored.missed),
        "feasible": int(scored.feasible.sum()),
        "generated": told.parts(recommendation.front(scored, k), "generated"),
        "nearest_miss": told.miss("generated"),
        "seed": seed,
        **_caveat(),
    }


def decode(shop: Workshop, latent: Sequence[float]) -> Json:
    heights = shop.encoder.decode(np.array([latent], dtype=np.float64))[0]
    why = geometry.fault(heights)
    return {**_shape(heights), "valid": why is None, "why": why}


def catalogue(shop: Workshop) -> Json:
    thick, bent = shop.outlines
    parts = [
        {**_part(shop.catalogue, row), "thickness": round(float(thick[row]), 2), "camber": round(float(bent[row]), 2)}
        for row in range(len(shop.catalogue))
    ]
    directions = [
        {**asdict(one), "component": _round(one.component, 7), "low": round(one.low, 4) + 0.0, "high": round(one.high, 4)}
        for one in shop.directions
    ]
    own = int(shop.catalogue.own.sum())
    return {
        "encoder": shop.encoder.digest, "count": len(parts), "own": own, "own_version": shop.version, "parts": parts,
        "directions": directions, **_caveat(),
    }  # fmt: skip


def part(shop: Workshop, identity: str) -> Json:
    """Raises NotFound."""
    parts, row = _find(shop, identity)
    heights, latent = parts.contour[row].astype(np.float64), _round(parts.latent[row], 6)
    return {**_part(parts, row), **_shape(heights), "latent": latent, "dat": dat(str(parts.name[row]), heights)}


def dat(name: str, heights: Array) -> str:
    """A Selig file: the name, then x and y from the trailing edge over the upper side to the trailing edge."""
    lines = [f"{x: .6f} {y: .6f}" for x, y in contour.outline(heights)]
    return "\n".join([" ".join(name.split()) or "section", *lines]) + "\n"


class _Teller:
    """How candidates of one question are told."""

    def __init__(self, shop: Workshop, wanted: Requirements, scored: Scored, latents: Array | None = None) -> None:
        self.shop, self.wanted, self.scored, self.latents = shop, wanted, scored, latents

    def reference(self, section: Given, start: Candidates) -> Json:
        said = self._scored(start, 0, "given")
        return said | {"id": None, "name": section.name, "source": "given", "family": "", "own": False,
                       "latent": _round(section.latent, 6)}  # fmt: skip

    def parts(self, rows: Rows, kind: str) -> list[Json]:
        return [self._told(int(row), kind) for row in rows]

    def miss(self, kind: str) -> Json | None:
        row = self.scored.nearest_miss()
        if row is None:
            return None
        missed = requirements.words(self.wanted, self.scored.candidates, row)
        says = "none feasible, nearest miss: " + (", ".join(missed) or "it is unlike every known section")
        return {"part": self._told(row, kind), "says": says}

    def _told(self, row: int, kind: str) -> Json:
        said = self._scored(self.scored.candidates, row, kind)
        if self.latents is None:
            return said | _part(self.shop.catalogue, row) | {"latent": _round(self.shop.catalogue.latent[row], 6)}
        whole = _round(self.latents[row], 6)
        return said | {"id": None, "name": f"generated {row + 1}", "source": "generated here", "family": "", "own": False,
                       "latent": whole}  # fmt: skip

    def _scored(self, found: Candidates, row: int, kind: str) -> Json:
        at = found.at
        return {
            "kind": kind,
            "heights": _round(found.heights[row], 6),
            "change": round(float(found.change[row]), 4),
            "gain": _or_none(found.gain[row], 2),
            "glide": _or_none(at.glide[row], 2),
            "alpha": _or_none(at.alpha[row], 3),
            "CL": _or_none(at.lift[row], 4),
            "CD": _or_none(at.drag[row], 6),
            "CM": _or_none(at.moment[row], 4),
            "confidence": _or_none(at.confidence[row], 4),
            "thickness": round(float(found.thickness[row]), 2),
            "misses": requirements.words(self.wanted, found, row),
            "why": recommendation.why(self.wanted, found, row),
        }


def _find(shop: Workshop, identity: str) -> tuple[Catalogue, int]:
    row = shop.catalogue.row(identity)
    if row is not None:
        return shop.catalogue, row
    large = shop.large if identity.startswith(PREFIX) else None
    parts = None if large is None else large.part(identity, shop.encoder)
    if parts is None:
        raise NotFound(f"there is no part {shown(identity)} in the catalogue; /v1/catalogue lists those there are")
    return parts, 0


def _part(parts: Catalogue, row: int) -> Json:
    told = {name: str(getattr(parts, name)[row]) for name in ("id", "name", "source", "family")}
    return told | {"own": bool(parts.own[row])}


def _shape(heights: Array) -> Json:
    measured = {name: round(value, 3) for name, value in asdict(geometry.measure(heights)).items()}
    return {"heights": _round(heights, 6), "outline": _round(contour.outline(heights), 6), "geometry": measured}


def _drawing(found: Contour, points: int) -> Json:
    return {
        "points": points, "chord": found.chord, "rotation_deg": round(found.rotation_deg, 4), "clockwise": found.clockwise,
        "nose": list(found.nose), "noise": round(100.0 * found.noise, 4), "smoothed": found.smoothed,
        "crossed": round(100.0 * found.crossed, 4),
    }  # fmt: skip


def _trailing_edge(section: Given) -> Json:
    """What an extension would be is offered, and only done for who asks for it."""
    gap = 100.0 * float(section.heights[contour.SIDE - 1] - section.heights[-1])
    longer = section.longer if trailing.is_offered(section.heights) else None
    offer = None if longer is None else {"by": round(longer.by, 2), **_shape(longer.heights)}
    return {"gap": round(gap, 4), "cut": offer is not None, "extension": offer}


def _caveat() -> Json:
    return {"predicted_by": polar.PREDICTED_BY, "limits": polar.LIMITS}


def _round(values: Array | np.ndarray[Any, Any], digits: int) -> Any:
    # + 0.0: no file and no page needs a negative zero.
    return (np.round(values.astype(np.float64), digits) + 0.0).tolist()


def _or_none(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
