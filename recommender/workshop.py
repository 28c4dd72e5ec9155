"""What stands ready between two questions: the encoder, the parts in its coordinates, and what was measured of them once?

A workshop belongs to one served model and one version of the customer's parts; when either changes another is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from pathlib import Path

import numpy as np

from recommender import geometry, parts
from recommender.catalogue import SHAPE, Catalogue, load
from recommender.contour import SIDE, STATIONS, Array
from recommender.encoder import Encoder
from recommender.generation import Room
from recommender.large import Large
from recommender.matching import Matcher
from recommender.polar import Flight, Polar
from serving.model import Model

# How far from its mean an axis is followed by a slider, in percent of the parts.
_REACH = (1.0, 99.0)
# Flight conditions for which the parts' lifts are kept; 44 kB each.
_KEPT = 16
# So many parts of a large catalogue are scored at most.
NEAR = 1800


@dataclass(frozen=True)
class Direction:
    """One axis of the shape block, as people would call it. `low` and `high`: where 98 % of the parts lie, in its unit."""

    name: str
    axis: int
    component: Array
    low: float
    high: float


@dataclass(frozen=True)
class Workshop:
    encoder: Encoder
    catalogue: Catalogue
    polar: Polar
    version: int = 0
    large: Large | None = None
    _coarse: dict[Flight, Array] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, model: Model, public: Catalogue, polar: Polar, own: parts.Parts | None = None,
           large: Large | None = None) -> Workshop:  # fmt: skip
        """Raises NotAnEncoder. Parts of another encoder are encoded anew."""
        encoder = Encoder.of(model, public.contour.astype(np.float64))
        if public.encoder_sha256 == encoder.pickle_sha256:
            # The public parts name the pickle, of which there may be several translations with the same answers.
            public = public.with_latent(public.latent, encoder.digest)
        together = parts.current(public, encoder)
        if own is not None:
            together = together.and_also(parts.current(own.parts, encoder))
        return cls(encoder, together, polar, 0 if own is None else own.version, large)

    @cached_property
    def heights(self) -> Array:
        return self.catalogue.contour.astype(np.float64)

    @cached_property
    def shapes(self) -> Array:
        """(n, 24)."""
        return self.catalogue.latent[:, :SHAPE].astype(np.float64)

    def coarse(self, flight: Flight) -> Array:
        """Of all parts, what looking for a lift begins with; kept for the conditions asked for last."""
        found = self._coarse.pop(flight, None)
        if found is None:
            found = self.polar.coarse(self.heights, flight)
        self._coarse[flight] = found
        while len(self._coarse) > _KEPT:
            self._coarse.pop(next(iter(self._coarse)))
        return found

    def beside(self, aims: Array, flight: Flight) -> Workshop:
        """With the NEAR parts of the large catalogue, if there is one, that are nearest to any of the shape blocks (n, 24)."""
        if self.large is None:
            return self
        found = [self.large.nearest(aim, NEAR // len(aims), self.encoder)[0] for aim in aims]
        near = reduce(Catalogue.and_also, found)
        near = near.only(np.unique(near.id, return_index=True)[1])
        coarse = np.concatenate([self.coarse(flight), self.polar.coarse(near.contour.astype(np.float64), flight)])
        return replace(self, catalogue=self.catalogue.and_also(near), _coarse={flight: coarse})

    @cached_property
    def matcher(self) -> Matcher:
        return Matcher(self.heights, self.shapes, self.encoder)

    @cached_property
    def room(self) -> Room:
        """Of the public parts alone: what a customer adds must not move what counts as a section."""
        return Room.of(self.shapes[~self.catalogue.own])

    @cached_property
    def novelties(self) -> Array:
        """Every public part's distance from all of them, ascending."""
        return np.sort(self.room.distance(self.shapes[~self.catalogue.own]))

    @cached_property
    def outlines(self) -> tuple[Array, Array]:
        """Thickness and camber of every part, % chord."""
        upper, lower = self.heights[:, :SIDE], self.heights[:, SIDE:]
        middle = (upper + lower) / 2.0
        bent = np.take_along_axis(middle, np.abs(middle).argmax(axis=1)[:, None], axis=1)[:, 0]
        return geometry.thickness(self.heights), 100.0 * bent

    @cached_property
    def directions(self) -> list[Direction]:
        """All 24, each turned so that what its name says grows with it."""
        count = {"thickness": 0, "camber": 0}
        found = []
        for axis, heights in enumerate(self.encoder.decode(_axes(self.encoder)) - self.encoder.origin):
            upper, lower = heights[:SIDE], heights[SIDE:]
            thick, bent = upper - lower, (upper + lower) / 2.0
            kind = "thickness" if np.abs(thick).sum() / 2.0 > np.abs(bent).sum() else "camber"
            count[kind] += 1
            shown = thick if kind == "thickness" else bent
            low, high = (float(value) for value in np.percentile(self.shapes[:, axis], _REACH))
            found.append(Direction(_named(kind, count[kind], shown), axis, heights, low, high))
        return found


def _axes(encoder: Encoder) -> Array:
    return np.asarray(encoder.zero + np.eye(SHAPE))


def _named(kind: str, order: int, shown: Array) -> str:
    """The first of a kind is the kind itself; of the others it helps to know where they act most."""
    if order == 1:
        return kind
    where = 100.0 * float(STATIONS[int(np.abs(shown).argmax())])
    return f"{kind} {order}, most at {where:.0f} % chord"


class Shed:
    """Makes a workshop when the model or the customer's parts have changed since the last one. For one thread at a time."""

    def __init__(self, own: Path | None, large: str = "") -> None:
        """Raises CannotStart."""
        self.public, self.polar, self.own = load(), Polar(), own
        self.large = Large(large) if large else None
        self._made: tuple[object, Workshop] | None = None

    def workshop(self, model: Model) -> Workshop:
        """Raises NotAnEncoder, CatalogueRefused or OSError."""
        stamp = (model.digest, self._stamp())
        if self._made is None or self._made[0] != stamp:
            own = None if self.own is None else parts.read(self.own, model.digest)
            self._made = stamp, Workshop.of(model, self.public, self.polar, own, self.large)
        return self._made[1]

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            about = self.own.stat() if self.own is not None else None
        except FileNotFoundError:
            return None
        return None if about is None else (about.st_ino, about.st_mtime_ns, about.st_size)
