"""skl2onnx as it comes: its own tables, kept before any repair is registered."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skl2onnx import _parse, _supported_operators
from skl2onnx.common import _registration

from conversion import translate

_TABLES: list[dict[Any, Any]] = [
    _supported_operators.sklearn_operator_name_map,
    _parse.sklearn_parsers_map,
    _registration._converter_pool,
    _registration._shape_calculator_pool,
]
_AS_IT_COMES = [dict(table) for table in _TABLES]


@contextmanager
def as_it_comes() -> Iterator[None]:
    """While it lasts no repair is registered."""
    saved, home = [dict(table) for table in _TABLES], vars(translate)
    repairs = home["REPAIRS"]
    _set(_AS_IT_COMES)
    home["REPAIRS"] = ()
    try:
        yield
    finally:
        _set(saved)
        home["REPAIRS"] = repairs


def _set(wanted: list[dict[Any, Any]]) -> None:
    for table, contents in zip(_TABLES, wanted, strict=True):
        table.clear()
        table.update(contents)
