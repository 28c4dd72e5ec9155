"""A multi-output MLPRegressor answers (n, k), where skl2onnx 1.20 writes a graph that answers (n * k, 1).

Its converter ends in Reshape(-1, 1) whatever the number of outputs (sklearn-onnx issue 474). The converter below is
registered in its place through skl2onnx's public extension point.
"""

from typing import Any

from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, guess_proto_type
from sklearn.neural_network import MLPRegressor

NAME = "mlp_shape"
_ACTIVATIONS = {"identity": None, "tanh": "Tanh", "logistic": "Sigmoid", "relu": "Relu"}


def register() -> None:
    """Makes skl2onnx use this converter for every MLPRegressor, wherever it stands in a pipeline."""
    update_registered_converter(MLPRegressor, "UnjarMLPRegressor", _shape, _convert, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, MLPRegressor)


def _shape(operator: Any) -> None:
    real = DoubleTensorType if isinstance(operator.inputs[0].type, DoubleTensorType) else FloatTensorType
    operator.outputs[0].type = real([None, operator.raw_operator.n_outputs_])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    network = operator.raw_operator
    proto = guess_proto_type(operator.outputs[0].type)
    value = scope.get_unique_variable_name("input")
    container.add_node("Cast", operator.inputs[0].full_name, value, name=scope.get_unique_operator_name("Cast"), to=proto)
    layers = list(zip(network.coefs_, network.intercepts_, strict=True))
    for i, (weights, bias) in enumerate(layers):
        last = i + 1 == len(layers)
        activation = network.out_activation_ if last else network.activation
        value = _layer(scope, container, proto, value, weights, bias, _ACTIVATIONS[activation])
    container.add_node("Identity", value, operator.outputs[0].full_name, name=scope.get_unique_operator_name("Identity"))


def _layer(scope: Any, container: Any, proto: int, value: str, weights: Any, bias: Any, activation: str | None) -> str:
    matrix, vector = scope.get_unique_variable_name("weights"), scope.get_unique_variable_name("bias")
    container.add_initializer(matrix, proto, weights.shape, weights.ravel())
    container.add_initializer(vector, proto, bias.shape, bias)
    result = scope.get_unique_variable_name("layer")
    container.add_node("Gemm", [value, matrix, vector], result, name=scope.get_unique_operator_name("Gemm"))
    if activation is None:
        return str(result)
    activated = scope.get_unique_variable_name("activated")
    container.add_node(activation, result, activated, name=scope.get_unique_operator_name(activation))
    return str(activated)
