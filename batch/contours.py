"""What is in a folder of .dat files? One outline each, many to a part, read as the server reads a drawing.

By the recommender's own reader, so that an outline has the same heights and is refused for the same reason here as there.
Loaded only where there are such files.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from batch.errors import Hopeless
from batch.manifest import File, Manifest, Unit
from batch.places import Place, State
from batch.sources import COUNTED, PIECE, Asked, Piece, stems
from recommender import contour, drawing
from recommender.contour import Array, ContourRefused
from recommender.encoder import WIDTH, NotAnEncoder, check_signature
from serving.signature import Signature

# Of a part: reading one outline takes some ms, not some µs.
ROWS = 2048
BYTES_MAX = 1_000_000


def plan(place: Place, names: Sequence[str], signature: Signature, asked: Asked, model: str) -> Manifest:
    """Raises Hopeless when the model takes no outlines."""
    if asked.id is not None or asked.columns:
        raise Hopeless(f"{place.root}: outlines have no columns; their ids are their names without .dat")
    try:
        check_signature(signature)
    except NotAnEncoder as error:
        raise Hopeless(f"{place.root}: .dat files are for the encoder of outlines; this model is none: {error}") from None
    known = stems(names).to_pylist()
    for before, after in pairwise(sorted(known)):
        if before == after:
            raise Hopeless(f"{place.root}: two files are named {after!r}; their names without .dat are the ids")
    states = place.states(names)
    size = asked.shard_rows or ROWS
    files = [File.of_many(names[first : first + size], states, place.root) for first in range(0, len(names), size)]
    units = [Unit(i, i, i * size, i * size, file.rows) for i, file in enumerate(files)]
    return Manifest(model, "dat", None, {}, max(1, len(names) // COUNTED), tuple(files), tuple(units))


def pieces(manifest: Manifest, place: Place, unit: Unit, signature: Signature) -> Iterator[Piece]:
    """Raises Hopeless when one of the files is another by now, Retryable."""
    file, tensor = manifest.files[unit.file], signature.inputs[0]
    states: dict[str, State] = {}
    for start in range(0, unit.rows, PIECE):
        names = file.names[start : start + PIECE]
        table = np.zeros((len(names), WIDTH), tensor.dtype)
        reasons = {}
        for row, name in enumerate(names):
            content, states[name] = place.fetch(name, BYTES_MAX)
            try:
                table[row] = heights(content)
            except ContourRefused as refused:
                reasons[row] = str(refused)
        at = np.arange(unit.start + start, unit.start + start + len(names))
        yield Piece(at, stems(names), {tensor.name: table}, reasons)
    if not file.in_states(states):
        raise Hopeless(f"{place.root}: one of {file.path} has changed since the run was begun; give another folder")


def heights(content: bytes) -> Array:
    """Raises ContourRefused."""
    if len(content) > BYTES_MAX:
        raise ContourRefused("too_large", "outline", f"found more than {BYTES_MAX:,} bytes, expected the points of one section")
    return contour.normalise(drawing.read(content.decode("utf-8", errors="replace")).points).heights
