"""The error function and the normal quantile in double, neither of which onnxruntime has."""

import numpy as np
from onnx import TensorProto

from conversion.writer import Writer
from serving.signature import Array

# Coefficients rise; the first column is the numerator, the second the denominator. None has another sign, so nothing cancels.
# Wichura, "Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37(3), 1988: PPND16.
_CENTRAL = np.array([
    [3.3871328727963666080e0, 1.0],
    [1.3314166789178437745e2, 4.2313330701600911252e1],
    [1.9715909503065514427e3, 6.8718700749205790830e2],
    [1.3731693765509461125e4, 5.3941960214247511077e3],
    [4.5921953931549871457e4, 2.1213794301586595867e4],
    [6.7265770927008700853e4, 3.9307895800092710610e4],
    [3.3430575583588128105e4, 2.8729085735721942674e4],
    [2.5090809287301226727e3, 5.2264952788528545610e3],
])  # fmt: skip
_OUTER = np.array([
    [1.42343711074968357734e0, 1.0],
    [4.63033784615654529590e0, 2.05319162663775882187e0],
    [5.76949722146069140550e0, 1.67638483018380384940e0],
    [3.64784832476320460504e0, 6.89767334985100004550e-1],
    [1.27045825245236838258e0, 1.48103976427480074590e-1],
    [2.41780725177450611770e-1, 1.51986665636164571966e-2],
    [2.27238449892691845833e-2, 5.47593808499534494600e-4],
    [7.74545014278341407640e-4, 1.05075007164441684324e-9],
])  # fmt: skip
# Moshier, Cephes, ndtr.c: erf up to 1, and erfc from 1 to 8.
_ERF = np.array([
    [5.55923013010394962768e4, 4.92673942608635921086e4],
    [7.00332514112805075473e3, 2.26290000613890934246e4],
    [2.23200534594684319226e3, 4.59432382970980127987e3],
    [9.00260197203842689217e1, 5.21357949780152679795e2],
    [9.60497373987051638749e0, 3.35617141647503099647e1],
    [0.0, 1.0],
])  # fmt: skip
_ERFC = np.array([
    [5.57535335369399327526e2, 5.57535340817727675546e2],
    [1.02755188689515710272e3, 1.65666309194161350182e3],
    [9.34528527171957607540e2, 2.24633760818710981792e3],
    [5.26445194995477358631e2, 1.82390916687909736289e3],
    [1.96520832956077098242e2, 9.75708501743205489753e2],
    [4.86371970985681366614e1, 3.54937778887819891062e2],
    [7.46321056442269912687e0, 8.67072140885989742329e1],
    [5.64189564831068821977e-1, 1.32281951154744992508e1],
    [2.46196981473530512524e-10, 1.0],
])  # fmt: skip


def quantile(write: Writer, share: str, edge: float) -> str:
    """scipy.stats.norm.ppf of shares from `edge` to 1 - edge, which is at least 1e-10. (n, k)"""
    share = write.node("Clip", [share, write.constant(edge), write.constant(1 - edge)])
    off = write.node("Sub", [share, write.constant(0.5)])
    square = write.node("Mul", [off, off])
    middle = write.node("Mul", [off, _ratio(write, write.node("Sub", [write.constant(0.425**2), square]), _CENTRAL)])
    smaller = write.node("Min", [share, write.node("Sub", [write.constant(1.0), share])])
    root = write.node("Sqrt", [write.node("Neg", [write.node("Log", [smaller])])])
    outer = _ratio(write, write.node("Sub", [root, write.constant(1.6)]), _OUTER)
    outer = write.node("Mul", [outer, write.node("Sign", [off])])
    inside = write.node("LessOrEqual", [write.node("Abs", [off]), write.constant(0.425)])
    return write.node("Where", [inside, middle, outer])


def erf(write: Writer, value: str) -> str:
    """scipy.special.erf. (n, k)"""
    square = write.node("Mul", [value, value])
    middle = write.node("Mul", [value, _ratio(write, square, _ERF)])
    size = write.node("Min", [write.node("Abs", [value]), write.constant(8.0)])
    decay = write.node("Exp", [write.node("Neg", [write.node("Mul", [size, size])])])
    rest = write.node("Mul", [decay, _ratio(write, size, _ERFC)])
    outer = write.node("Mul", [write.node("Sub", [write.constant(1.0), rest]), write.node("Sign", [value])])
    inside = write.node("LessOrEqual", [size, write.constant(1.0)])
    return write.node("Where", [inside, middle, outer])


def _ratio(write: Writer, value: str, coefficients: Array) -> str:
    """One polynomial over another, both from one product with the powers."""
    wide = write.node("Unsqueeze", [value, write.constant([2], TensorProto.INT64)])
    powers = write.node("Pow", [wide, write.constant(np.arange(float(len(coefficients))))])
    both = write.node("MatMul", [powers, write.constant(coefficients)])
    above, below = (write.node("Gather", [both, write.constant(side, TensorProto.INT64)], axis=2) for side in (0, 1))
    return write.node("Div", [above, below])
