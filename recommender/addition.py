"""What does the recommender add to the server? Imported at start, so it loads nothing."""

from typing import TYPE_CHECKING

from serving.addition import Addition

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serving.inference import Inference
    from serving.settings import Settings


def _add(app: "FastAPI", inference: "Inference", settings: "Settings") -> None:
    from recommender.routes import add_routes

    add_routes(app, inference, settings)


# The page's own files hold no secret; a browser sends no token with an address that somebody types.
RECOMMENDER = Addition(_add, shows=lambda path: path == "/" or path.startswith("/web/"))
