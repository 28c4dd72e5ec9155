"""What answers in the image when something asks for the standard library's `pickle`?

The image ships this file as pickle.py. numpy, pydantic, uvicorn and logging import the module when they start and never
use it; whoever does use it is refused, and the run-time guard hears of it through the event a real unpickler would raise.
"""

import sys
from typing import Any, NoReturn

HIGHEST_PROTOCOL = DEFAULT_PROTOCOL = 5
format_version = "4.0"


class PickleError(Exception):
    """As in the standard library, so that an `except` clause that names it still works."""


class PicklingError(PickleError):
    pass


class UnpicklingError(PickleError):
    pass


def _refuse_load(*_: Any, **__: Any) -> NoReturn:
    sys.audit("pickle.find_class", "pickle", "load")
    raise UnpicklingError("this image opens no pickle; convert the model with convert.py and serve the model.onnx it writes")


def _refuse_dump(*_: Any, **__: Any) -> NoReturn:
    raise PicklingError("this image writes no pickle; exchange JSON, ONNX or Open Inference Protocol tensors")


class Unpickler:
    __init__ = _refuse_load


class Pickler:
    __init__ = _refuse_dump


load = loads = _refuse_load
dump = dumps = _refuse_dump
