"""What does a written graph compute, operation by operation, in the precision in which onnxruntime runs it?

Every node is read, or what depends on it stays unread: nothing is taken on trust, neither where elements are moved to nor
which scores a label comes from.
"""

from typing import Any

import numpy as np
import onnx
from onnx import helper

from conversion.error_bounds.choices import Answer
from conversion.error_bounds.operators import READERS, given_by
from conversion.error_bounds.rounding import MALFORMED, NotBounded, Value
from conversion.error_bounds.tensors import Tensor, Tensors
from serving.signature import Array

# Each share divided by the sum of all, as `repairs.linear` writes it.
_EVEN = "Where(Equal(ReduceSum[keepdims=1](S,1),0.0),1.0,S)"
_SHARES = f"Div({_EVEN},ReduceSum[keepdims=1]({_EVEN},1))"
_WRITTEN_WITH, _DEEPEST = ("Div", "Where", "Equal", "ReduceSum"), 4


def written(model: onnx.ModelProto, low: Array, high: Array) -> dict[str, Answer]:
    """Each output's value. Raises NotBounded with the first node that could not be read."""
    reader = _Reader(model, low, high)
    for node in model.graph.node:
        reader.read(node)
    found = {}
    for output in model.graph.output:
        if not isinstance(reader.tensors.values.get(output.name), Tensor):
            raise NotBounded(reader.reasons[0] if reader.reasons else f"nothing computes {output.name!r}")
        found[output.name] = reader.tensors.values[output.name].holds
    return found


class _Reader:
    def __init__(self, model: onnx.ModelProto, low: Array, high: Array) -> None:
        self.tensors = Tensors(model, low, high)
        self.makers = {name: node for node in model.graph.node for name in node.output}
        self.reasons: list[str] = []

    def read(self, node: Any) -> None:
        try:
            if self._folded(node):
                return
            if node.domain not in ("", "ai.onnx.ml") or len(node.output) != 1 or node.op_type not in READERS:
                raise NotBounded(f"no bound is written for the operator {node.op_type}")
            self.tensors.values[node.output[0]] = READERS[node.op_type](self.tensors, node)
        except (NotBounded, *MALFORMED) as reason:
            found = self._fragment(node) if node.op_type == "Div" else None
            if found is None:
                self.reasons.append(f"{reason} (node {node.name or node.op_type})")
            else:
                self.tensors.values[node.output[0]] = found

    def _folded(self, node: Any) -> bool:
        """What is computed of constants alone; both kinds of node round correctly."""
        if node.op_type not in ("Cast", "Sqrt") or node.input[0] not in self.tensors.constants:
            return False
        array = self.tensors.constants[node.input[0]]
        if node.op_type == "Cast":
            array = array.astype(helper.tensor_dtype_to_np_dtype(given_by(node)["to"]))
        self.tensors.constants[node.output[0]] = array if node.op_type == "Cast" else np.sqrt(array)
        return True

    def _fragment(self, node: Any) -> Tensor | None:
        """A division that ends several nodes which are one function when taken together."""
        leaves: set[str] = set()
        score = self._score(node)
        if score is None and (self._expression(node.output[0], leaves) != _SHARES or len(leaves) != 1):
            return None
        found = self.tensors.values[score or leaves.pop()]
        try:
            return Tensor(found.holds.logistic() if score else found.holds.shares(), found.flat)
        except NotBounded as reason:
            self.reasons.insert(0, str(reason))
            return None

    def _score(self, node: Any) -> str | None:
        """The s of 1 / (1 + e^-s)."""
        for kind in ("Div", "Add"):
            ones = self.tensors.constants.get(node.input[0]) if node is not None and node.op_type == kind else None
            if ones is None or ones.size != 1 or ones.item() != 1:
                return None
            node = self.makers.get(node.input[1])
        for kind in ("Exp", "Neg"):
            if node is None or node.op_type != kind:
                return None
            name = node.input[0]
            node = self.makers.get(name)
        held = self.tensors.values.get(name)
        return str(name) if isinstance(held, Tensor) and isinstance(held.holds, Value) else None

    def _expression(self, name: str, leaves: set[str], depth: int = 0) -> str:
        """The nodes that a tensor comes from, as text: S stands for the bounded value that they start from."""
        if name in self.tensors.constants:
            array = self.tensors.constants[name]
            return str(array.reshape(-1)[0]) if array.size == 1 else f"{array.shape}"
        held = self.tensors.values.get(name)
        if depth and isinstance(held, Tensor) and isinstance(held.holds, Value):
            leaves.add(name)
            return "S"
        node = self.makers.get(name)
        if node is None or node.op_type not in _WRITTEN_WITH or depth > _DEEPEST:
            return name
        given = ",".join(f"{one.name}={helper.get_attribute_value(one)}" for one in node.attribute)
        inner = ",".join(self._expression(one, leaves, depth + 1) for one in node.input)
        return f"{node.op_type}{f'[{given}]' if given else ''}({inner})"
