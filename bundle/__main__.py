"""python -m bundle release|fill|archive: the steps of `build.sh --bundle` and `build.sh --model-only` that are not docker's.

Exits 0 made, 1 the model does not hold here, 2 it cannot be made as ordered.
"""

import argparse
import sys
from pathlib import Path

from bundle import pack, release
from bundle.release import Faulty
from serving.errors import ModelRefused


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bundle", description=__doc__)
    parser.add_argument("step", choices=("release", "fill", "archive"))
    parser.add_argument("folder", type=Path, help="of the bundle; release: of the release")
    parser.add_argument("--name", default="model")
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--epoch", type=int, required=True, help="the time of everything, seconds since 1970")
    parser.add_argument("--expires", metavar="YYYY-MM-DD")
    parser.add_argument("--image", type=Path, help="an archive of docker save")
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--to", type=Path, help="the archive to write")
    given = parser.parse_args()
    when = pack.moment(given.epoch)
    try:
        if given.step == "release":
            release.write(given.folder, Path("model.onnx"), Path("example.json"), given.name, given.number, when, given.expires)
        elif given.step == "fill":
            pack.fill(given.folder, pack.Image.read(given.image), given.name, given.number, when, given.wheels, given.commit)
        else:
            pack.archive(given.folder, given.to, given.epoch)
    except (Faulty, OSError) as problem:
        print(f"bundle: {problem}", file=sys.stderr)
        return 2
    except ModelRefused as refused:
        print(f"bundle: {refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
