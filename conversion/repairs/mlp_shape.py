"""A multi-output MLPRegressor answers (n, k), where skl2onnx 1.20 writes a graph that answers (n * k, 1).

Its converter ends in Reshape(-1, 1) whatever the number of outputs (sklearn-onnx issue 474). The converter below is
registered in its place through skl2onnx's public extension point.
"""

from typing import Any

from skl2onnx import update_registered_converter
from sklearn.neural_network import MLPRegressor

from conversion.writer import Writer, real_of

NAME = "mlp_shape"
COVERED: tuple[type, ...] = (MLPRegressor,)
_ACTIVATIONS = {"identity": "Identity", "tanh": "Tanh", "logistic": "Sigmoid", "relu": "Relu"}


def register() -> None:
    """Makes skl2onnx use this converter for every MLPRegressor, wherever it stands in a pipeline."""
    update_registered_converter(MLPRegressor, "UnjarMLPRegressor", _shape, _convert, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    operator.outputs[0].type = real_of(operator)[0]([None, operator.raw_operator.n_outputs_])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    network, proto = operator.raw_operator, real_of(operator)[1]
    write = Writer(scope, container, proto)
    value = write.node("Cast", [operator.inputs[0].full_name], to=proto)
    layers = list(zip(network.coefs_, network.intercepts_, strict=True))
    for i, (weights, bias) in enumerate(layers):
        last = i + 1 == len(layers)
        value = write.node("Gemm", [value, write.constant(weights), write.constant(bias)])
        activation = _ACTIVATIONS[network.out_activation_ if last else network.activation]
        value = write.node(activation, [value], operator.outputs[0].full_name if last else None)
