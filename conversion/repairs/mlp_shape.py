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
_ACTIVATIONS = {"tanh": "Tanh", "logistic": "Sigmoid", "relu": "Relu", "exp": "Exp"}


def register() -> None:
    """Makes skl2onnx use this converter for every MLPRegressor, wherever it stands in a pipeline."""
    update_registered_converter(MLPRegressor, "UnjarMLPRegressor", _shape, _convert, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    operator.outputs[0].type = real_of(operator)[0]([None, operator.raw_operator.n_outputs_])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    proto = real_of(operator)[1]
    write = Writer(scope, container, proto)
    value = write.node("Cast", [operator.inputs[0].full_name], to=proto)
    write.node("Identity", [layers(write, operator.raw_operator, value)], operator.outputs[0].full_name)


def layers(write: Writer, network: Any, value: str) -> str:
    """BaseMultilayerPerceptron._forward_pass_fast"""
    for i, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        value = write.node("Gemm", [value, write.constant(weights), write.constant(bias)])
        activation = network.out_activation_ if i + 1 == len(network.coefs_) else network.activation
        if activation == "softmax":
            value = write.node("Softmax", [value], axis=1)
        elif activation != "identity":
            value = write.node(_ACTIVATIONS[activation], [value])
    return value
