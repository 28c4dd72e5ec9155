"""Serves model.onnx over HTTP; `python server.py --help` says how. Exits 0 stopped, 1 model refused, 2 cannot start."""

import signal
import sys

# The first process of a container ignores SIGTERM until it handles it, and what follows takes a while to import.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

import argparse
import os

from recommender.addition import RECOMMENDER
from serving.errors import CannotStart, ModelRefused
from serving.settings import Settings
from serving.supervisor import serve


def main() -> int:
    said = "Serves a model over the Open Inference Protocol. All settings: docs/settings.md."
    parser = argparse.ArgumentParser(prog="server.py", description=said)
    parser.add_argument("--model", help="the file that convert.py wrote (UNJAR_MODEL, model.onnx)")
    parser.add_argument("--name", help="the model's name in addresses (UNJAR_NAME, the file's name)")
    parser.add_argument("--host", help="address to listen on (UNJAR_HOST, 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on, 0 for a free one (UNJAR_PORT, 8080)")
    parser.add_argument("--processes", help="how many processes serve, or auto (UNJAR_PROCESSES, 1)")
    parser.add_argument("--inherit", help=argparse.SUPPRESS)
    flags = vars(parser.parse_args())
    inherited = flags.pop("inherit")
    try:
        serve(Settings.read(os.environ, flags), inherited, RECOMMENDER)
    except (CannotStart, ModelRefused) as error:
        sys.stderr.write(f"server.py: {error}\n")
        return 1 if isinstance(error, ModelRefused) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
