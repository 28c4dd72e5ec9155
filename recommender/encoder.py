"""How does the served model turn 130 heights into coordinates, and how do coordinates become heights again?

Nothing is believed of the model but what it answers: that its shape block is an affine map that keeps distances is looked at
here, and the way back is that map's transpose. So a model trained anew brings its own decoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommender.catalogue import SHAPE
from recommender.contour import SIDE, Array
from serving.model import Model
from serving.signature import Signature

WIDTH = 2 * SIDE
# With this unit the distance between two shape blocks is the RMS height difference in % chord.
UNIT = 100.0 / np.sqrt(WIDTH)
_STEP = 0.01
# float32 models keep distances to about 1e-5 of their size.
_LOOSE = 1e-3


class NotAnEncoder(ValueError):
    """The served model is none whose coordinates mean what the recommender takes them to mean; the text says why."""


@dataclass(frozen=True)
class Encoder:
    """`axes`: (24, 130), orthonormal; `origin`: (130,) heights whose shape block is `zero`."""

    model: Model
    axes: Array
    origin: Array
    zero: Array

    @classmethod
    def of(cls, model: Model, known: Array) -> Encoder:
        """known: (n, 130) sections that the model is looked at on. Raises NotAnEncoder."""
        check_signature(model.signature)
        origin = known.mean(axis=0)
        steps = np.vstack([origin, origin + _STEP * np.eye(WIDTH)])
        answered = _run(model, steps)[:, :SHAPE]
        axes = (answered[1:] - answered[0]).T / (_STEP * UNIT)
        found = cls(model, axes, origin, answered[0])
        turned = np.abs(axes @ axes.T - np.eye(SHAPE)).max()
        if turned > _LOOSE:
            raise NotAnEncoder(f"its first {SHAPE} outputs do not keep distances between shapes: off by {turned:.2g}")
        straight = answered[0] + (known - origin) @ axes.T * UNIT
        bent = np.abs(_run(model, known)[:, :SHAPE] - straight).max() / UNIT
        if bent > _LOOSE:
            raise NotAnEncoder(f"its first {SHAPE} outputs are no linear map of the shape: off by {bent:.2g} chords")
        return found

    @property
    def digest(self) -> str:
        return self.model.digest

    @property
    def pickle_sha256(self) -> str:
        return str(self.model.provenance.get("source_sha256", ""))

    def encode(self, heights: Array) -> Array:
        """(n, 130) heights in chords -> (n, 32): 24 shape, 8 performance coordinates. Raises serving's InvalidInput."""
        return _run(self.model, heights)

    def decode(self, latents: Array) -> Array:
        """(n, 24 or 32) -> (n, 130) heights in chords: the nearest shape that the shape block can tell."""
        return np.asarray(self.origin + (latents[:, :SHAPE] - self.zero) @ self.axes / UNIT)


def check_signature(signature: Signature) -> None:
    """Raises NotAnEncoder where no model with it is one."""
    takes, gives = signature.inputs, signature.outputs
    shapes = [tensor.shape for tensor in takes], [tensor.shape for tensor in gives]
    wide = len(gives) == 1 and len(gives[0].shape) == 2 and gives[0].shape[1] >= SHAPE
    if len(takes) != 1 or takes[0].shape != (-1, WIDTH) or takes[0].dtype.kind != "f" or not wide:
        raise NotAnEncoder(f"it takes {shapes[0]} and gives {shapes[1]}, expected (-1, {WIDTH}) and (-1, {SHAPE} or more)")


def _run(model: Model, heights: Array) -> Array:
    tensor = model.signature.inputs[0]
    feeds = model.signature.accept({tensor.name: np.ascontiguousarray(heights, dtype=tensor.dtype)})
    return np.asarray(next(iter(model.run(feeds).values())), dtype=np.float64)
