"""The customer's own parts. `python -m recommender add FILES... | list | remove IDS... | encode | index FOLDER`

add: .dat files join the catalogue that the server searches; encode: after another model has come, their coordinates are made
anew. They lie in UNJAR_STATE/parts.npz, or in --parts FILE; a running server sees the change at its next question. index: what
python -m batch answered becomes a catalogue beyond a million parts.
Exits 0 done, 1 not done and why, 2 could not look.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from recommender import catalogue, contour, drawing, large, parts
from recommender.catalogue import CatalogueRefused
from recommender.drawing import ContourRefused
from recommender.encoder import Encoder, NotAnEncoder
from recommender.parts import Part, Parts
from serving.errors import CannotStart, ModelRefused
from serving.model import Model
from serving.settings import Settings

FILE_MAX = 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m recommender", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", type=Path, help="default: parts.npz in the folder UNJAR_STATE")
    parser.add_argument("--model", type=Path, help="default: UNJAR_MODEL, or model.onnx")
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help=".dat files join the catalogue; all of them or none")
    adding.add_argument("files", type=Path, nargs="+", metavar="FILE", help="its name without .dat becomes the id; - reads one")
    adding.add_argument("--name", help="of a single file; default: its first line")
    adding.add_argument("--id", help="of a single file; default: its name without .dat")
    adding.add_argument("--source", default="own", help="where they are from; shown with every part")
    adding.add_argument("--replace", action="store_true", help="parts of the same id are replaced")
    commands.add_parser("list", help="what is there")
    commands.add_parser("encode", help="writes the coordinates anew, with this model")
    removing = commands.add_parser("remove", help="parts by their ids; all of them or none")
    removing.add_argument("ids", nargs="+", metavar="ID")
    indexing = commands.add_parser("index", help="a catalogue beyond a million parts; docs/large-catalogue.md")
    indexing.add_argument("answered", metavar="FOLDER", help="what python -m batch encode wrote, or an address")
    indexing.add_argument("--to", metavar="PLACE", help="folder or address to put it at; default: UNJAR_CATALOGUE")
    given = parser.parse_args()
    try:
        settings = Settings.read(os.environ, {})
        if given.command == "index":
            print(indexed(given.answered, given.to or settings.catalogue, given.model or settings.model))
            return 0
        path = given.parts or (settings.state and settings.state / parts.FILE)
        if path is None:
            raise CannotStart("name a file with --parts, or set UNJAR_STATE")
        print(run(given, path, given.model or settings.model))
    except (CatalogueRefused, ContourRefused, NotAnEncoder, ModelRefused) as refused:
        print(f"recommender: {refused}", file=sys.stderr)
        return 1
    except (CannotStart, OSError) as problem:
        print(f"recommender: {problem}", file=sys.stderr)
        return 2
    return 0


def run(given: argparse.Namespace, path: Path, model: Path) -> str:
    """Raises what main tells apart."""
    known = catalogue.load().contour.astype(np.float64)
    encoder = Encoder.of(Model.load(model), known)
    if given.command == "list":
        return listed(parts.read(path, encoder.digest), encoder)
    if given.command == "add":
        new = [read(file, given.name, given.id, given.source) for file in given.files]
        made = parts.add(path, new, encoder, given.replace)
    elif given.command == "remove":
        made = parts.remove(path, given.ids, encoder)
    else:
        made = parts.encode_again(path, encoder)
    return f"{path}: version {made.version}, {len(made.parts)} parts"


def indexed(answered: str, address: str, model: Path) -> str:
    """Raises what main tells apart."""
    if not address:
        raise CannotStart("say with --to where the catalogue goes, or set UNJAR_CATALOGUE")
    encoder = Encoder.of(Model.load(model), catalogue.load().contour.astype(np.float64))
    return f"{address}: {large.index(answered, address, encoder):,} parts"


def read(file: Path, name: str | None, identity: str | None, source: str) -> Part:
    """Raises ContourRefused with the file's name, or OSError."""
    with sys.stdin.buffer if str(file) == "-" else open(file, "rb") as opened:
        content = opened.read(FILE_MAX + 1)
    if len(content) > FILE_MAX:
        raise ContourRefused("too_large", str(file), f"found more than {FILE_MAX:,} bytes, expected the points of one section")
    try:
        outline = drawing.read(content.decode("utf-8", errors="replace"))
        heights = contour.normalise(outline.points).heights
    except ContourRefused as refused:
        raise ContourRefused(
            refused.code, f"{file}: {refused.where}", str(refused).removeprefix(f"{refused.where}: ")
        ) from None
    title = " ".join((name or outline.name or file.stem).split())[:100]
    return Part(identity or (title if str(file) == "-" else file.stem), title, source, heights)


def listed(found: Parts, encoder: Encoder) -> str:
    fits = found.parts.encoder_sha256 == encoder.digest
    of = "this model" if fits else f"model {found.parts.encoder_sha256[:12]}; python -m recommender encode writes them anew"
    lines = [f"version {found.version}, {len(found.parts)} parts, coordinates of {of}"]
    lines += [f"{one}  {name}  ({source})" for one, name, source in _rows(found)]
    return "\n".join(lines)


def _rows(found: Parts) -> list[tuple[str, str, str]]:
    known = found.parts
    return list(zip(known.id.tolist(), known.name.tolist(), known.source.tolist(), strict=True))


if __name__ == "__main__":
    sys.exit(main())
