"""How is a converter that skl2onnx lacks registered, when all it has to say is a formula?

A formula takes a Writer, the fitted object and the name of its rows in double, and gives the names of what it computed, in
double: scikit-learn computes in double too, and float32 differences of large numbers are worth nothing.
"""

from collections.abc import Callable
from typing import Any

from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType

from conversion.repairs.classes import OPTIONS, label_type, write_labels
from conversion.repairs.inside import check_not_rounded
from conversion.writer import Writer

Numbers = Callable[[Writer, Any, str], str]
Options = dict[str, list[Any]] | None
Scores = Callable[[Writer, Any, str], tuple[str, str]]


def register_numbers(kind: type, columns: Callable[[Any], int], formula: Numbers) -> None:
    """One output of so many columns: a transformer or a regressor."""

    def shape(operator: Any) -> None:
        operator.outputs[0].type = DoubleTensorType([None, columns(operator.raw_operator)])

    def convert(scope: Any, operator: Any, container: Any) -> None:
        write = Writer(scope, container)
        value = formula(write, operator.raw_operator, _rows(write, operator))
        write.node("Identity", [value], operator.outputs[0].full_name)

    update_registered_converter(
        kind, f"Unjar{kind.__name__}", shape, convert, overwrite=True, parser=one_output, options=OPTIONS
    )


def register_classifier(kind: type, formula: Scores, jumps: bool = False) -> None:
    """The formula gives the index of each row's class, (n,), and its probabilities, (n, classes).

    One that `jumps` between numbers next to each other is not fed with what the graph itself has rounded.
    """

    def shape(operator: Any) -> None:
        classes = operator.raw_operator.classes_
        operator.outputs[0].type = label_type(classes)
        operator.outputs[1].type = DoubleTensorType([None, len(classes)])

    def convert(scope: Any, operator: Any, container: Any) -> None:
        write, model = Writer(scope, container), operator.raw_operator
        if jumps:
            check_not_rounded(model, operator.inputs)
        index, scores = formula(write, model, _rows(write, operator))
        label, shares = (output.full_name for output in operator.outputs)
        write_labels(write, model.classes_, index, label)
        write.node("Identity", [scores], shares)

    update_registered_converter(kind, f"Unjar{kind.__name__}", shape, convert, overwrite=True, options=OPTIONS)


def register_labels(kind: type, columns: Callable[[Any], int], formula: Scores, options: Options = None) -> None:
    """Whole numbers, (n,), and scores of so many columns: clusterers, mixtures and outlier detectors.

    `options` are those that skl2onnx's own parser asks such a converter for.
    """

    def shape(operator: Any) -> None:
        operator.outputs[0].type = Int64TensorType([None])
        operator.outputs[1].type = DoubleTensorType([None, columns(operator.raw_operator)])

    def convert(scope: Any, operator: Any, container: Any) -> None:
        write = Writer(scope, container)
        names = formula(write, operator.raw_operator, _rows(write, operator))
        for name, output in zip(names, operator.outputs, strict=True):
            write.node("Identity", [name], output.full_name)

    update_registered_converter(kind, f"Unjar{kind.__name__}", shape, convert, overwrite=True, options=options)


def _rows(write: Writer, operator: Any) -> str:
    return write.node("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)


def one_output(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """skl2onnx gives everything that clusters two outputs, whatever it answers."""
    operator = scope.declare_local_operator(f"Unjar{type(model).__name__}", model)
    operator.inputs = inputs
    operator.outputs.append(scope.declare_local_variable("variable", DoubleTensorType()))
    return operator.outputs
