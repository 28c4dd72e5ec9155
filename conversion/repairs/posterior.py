"""How do the logarithms of joint probabilities become shares, with the rounding that scikit-learn's own have?

Far out the logarithms are so large that rounding their sum moves the shares themselves: a softmax would be nearer the
truth, and further from scikit-learn.
"""

import numpy as np
from onnx import TensorProto

from conversion.repairs import ufuncs
from conversion.writer import Writer


def shares(write: Writer, scores: str) -> str:
    """exp(scores - logsumexp(scores)) by sklearn.utils._array_api._logsumexp, which sums all but the largest. (n, k)"""
    axis = write.constant([1], TensorProto.INT64)
    top = write.node("ReduceMax", [scores, axis], keepdims=1)
    largest = write.node("Equal", [scores, top])
    count = write.node("ReduceSum", [write.node("Cast", [largest], to=TensorProto.DOUBLE), axis], keepdims=1)
    powers = write.node("Exp", [write.node("Sub", [scores, top])])
    others = write.node("ReduceSum", [write.node("Where", [largest, write.constant(0.0), powers]), axis], keepdims=1)
    summed = ufuncs.written(write, np.log1p, None, write.node("Div", [others, count]))
    total = write.node("Add", [write.node("Add", [summed, write.node("Log", [count])]), top])
    return write.node("Exp", [write.node("Sub", [scores, total])])


def best(write: Writer, scores: str) -> str:
    """The index of the largest score, the first of equals. (n,)"""
    return write.node("ArgMax", [scores], axis=1, keepdims=0)
