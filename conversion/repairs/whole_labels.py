"""Whole-number labels outside int32 come back whole, from every classifier of skl2onnx's own.

skl2onnx 1.20 writes labels through int32 somewhere on most of its paths: 2**40 comes back as 0. Such a classifier is written
with its classes numbered from zero, and the labels are gathered afterwards.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import _supported_operators as supported
from skl2onnx.common._registration import get_converter, register_converter
from skl2onnx.common.data_types import Int64TensorType
from sklearn.base import ClassifierMixin, is_classifier

from conversion.writer import Writer

NAME = "whole_labels"
COVERED: tuple[type, ...] = (ClassifierMixin,)
_LARGEST = np.iinfo(np.int32).max
_ours: dict[str, Any] = {}


def register() -> None:
    for model, alias in list(supported.sklearn_operator_name_map.items()):
        if not isinstance(model, type) or not issubclass(model, ClassifierMixin) or alias.startswith("Unjar"):
            continue
        original = get_converter(alias)
        if original is not _ours.get(alias):
            register_converter(alias, _numbered(alias, original), overwrite=True, options=original.get_allowed_options())
            _ours[alias] = get_converter(alias)


def applies(step: Any) -> bool:
    classes = getattr(step, "classes_", None)
    if not is_classifier(step) or not isinstance(classes, np.ndarray) or classes.dtype.kind not in "iu":
        return False
    return bool(np.abs(classes.astype(np.float64)).max() > _LARGEST)


def _numbered(alias: str, original: Callable[..., None]) -> Callable[..., None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        model = operator.raw_operator
        if not applies(model):
            original(scope, operator, container)
            return
        numbered = copy.copy(model)
        numbered.classes_ = np.arange(len(model.classes_))
        options = container.get_options(model, fail=False) or {}
        scope.add_options(id(numbered), options)
        container.add_options(id(numbered), options)
        inner = scope.declare_local_operator(alias, numbered)
        inner.inputs = operator.inputs
        for output in operator.outputs:
            kind = Int64TensorType() if output is operator.outputs[0] else type(output.type)()
            inner.outputs.append(scope.declare_local_variable(output.raw_name, kind))
        write = Writer(scope, container)
        labels = write.constant(model.classes_, TensorProto.INT64)
        write.node("Gather", [labels, inner.outputs[0].full_name], operator.outputs[0].full_name, axis=0)
        for made, wanted in zip(inner.outputs[1:], operator.outputs[1:], strict=True):
            write.node("Identity", [made.full_name], wanted.full_name)

    return convert
