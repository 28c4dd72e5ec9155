"""What may another room serve beside the model, with the same limits, errors, request ids and figures?

Its addresses are FastAPI's, so they are loaded when one of them is first asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serving.inference import Inference
    from serving.settings import Settings


@dataclass(frozen=True)
class Addition:
    """`add` puts addresses into the application; `shows` tells those that say nothing that a token protects.

    `check` is called once, before anything listens; it raises CannotStart.
    """

    add: Callable[["FastAPI", "Inference", "Settings"], None]
    shows: Callable[[str], bool]
    check: Callable[["Settings"], None]
