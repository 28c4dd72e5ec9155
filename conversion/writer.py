"""How does a converter add nodes to a graph without naming every one of them?"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType


class Writer:
    """Adds nodes to skl2onnx's container and names what they give."""

    def __init__(self, scope: Any, container: Any, real: int = TensorProto.DOUBLE) -> None:
        self.scope, self.container, self.real = scope, container, real

    def node(self, kind: str, inputs: list[str], output: str | None = None, **given: Any) -> str:
        result = output or self.scope.get_unique_variable_name(kind.lower())
        self.container.add_node(kind, inputs, result, name=self.scope.get_unique_operator_name(kind), **given)
        return str(result)

    def constant(self, values: Any, kind: int | None = None) -> str:
        """An initializer of the writer's real type, unless another is named."""
        name = self.scope.get_unique_variable_name("constant")
        array = np.asarray(values)
        self.container.add_initializer(name, self.real if kind is None else kind, array.shape, array.ravel().tolist())
        return str(name)


def real_of(operator: Any) -> tuple[type, int]:
    """The tensor type and ONNX type of an operator's numbers: double when its input is, else float."""
    double = isinstance(operator.inputs[0].type, DoubleTensorType)
    return (DoubleTensorType, TensorProto.DOUBLE) if double else (FloatTensorType, TensorProto.FLOAT)
