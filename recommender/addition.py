"""What does the recommender add to the server? Imported at start, so it loads nothing."""

import importlib.util
from typing import TYPE_CHECKING

from serving.addition import Addition
from serving.errors import CannotStart

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serving.inference import Inference
    from serving.settings import Settings


def _add(app: "FastAPI", inference: "Inference", settings: "Settings") -> None:
    from recommender.routes import add_routes

    add_routes(app, inference, settings)


def check_installed(catalogue: str) -> None:
    """Raises CannotStart where what a large catalogue needs is not there."""
    if catalogue and not all(importlib.util.find_spec(name) for name in ("lancedb", "pyarrow")):
        raise CannotStart(f"{catalogue}: needs lancedb, which is not installed; pip install -r requirements/lance.txt")


def _shows(path: str) -> bool:
    # The page's own files hold no secret; a browser sends no token with an address that somebody types.
    return path == "/" or path.startswith("/web/")


RECOMMENDER = Addition(_add, _shows, check=lambda settings: check_installed(settings.catalogue))
