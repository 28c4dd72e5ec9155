"""Which globals may the pickle of a scikit-learn model name?

An exact list, because every deny-list has been walked around. A scikit-learn class is allowed when it is defined in the
very module the pickle names; a prefix would not do, since scikit-learn's modules import os, functools and friends.
"""

import sys
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.utils import check_array

from conversion.errors import Refused

# Code for tests, data, plots and progress reaches files, processes and the network (a ScoringMonitor listens for pickles as
# soon as it is made), `deprecated` rewrites classes; no fitted model needs any of it.
_BARRED = set(
    "tests conftest datasets externals _testing _mocking _test_common estimator_checks _build_utils parallel callback "
    "inspection _plot _plotting _export _pprint _repr_html _reingold_tilford _show_versions "
    "discovery deprecation experimental".split()
)

_UFUNCS = (
    "absolute add arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil cos cosh deg2rad divide exp exp2 expm1 fabs "
    "floor log log10 log1p log2 logical_not maximum minimum multiply negative positive power rad2deg reciprocal rint "
    "sign sin sinh sqrt square subtract tan tanh trunc"
).split()

_LOSSES = "HalfSquared AbsoluteError Pinball Huber HalfPoisson HalfGamma HalfTweedie HalfTweedieIdentity HalfBinomial"
_LOSSES += " HalfMultinomial Exponential"

NAMES: frozenset[tuple[str, str]] = frozenset(
    [
        ("_codecs", "encode"),
        *(("builtins", name) for name in "bool bytearray bytes complex float frozenset int list object range".split()),
        *(("builtins", name) for name in "set slice str".split()),
        ("collections", "Counter"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("copyreg", "_reconstructor"),
        ("joblib.numpy_pickle", "NumpyArrayWrapper"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        ("numpy._core.numeric", "_frombuffer"),
        ("numpy.core.numeric", "_frombuffer"),
        *((module, "MaskedArray") for module in ("numpy.ma", "numpy.ma.core")),
        ("numpy.ma.core", "_mareconstruct"),
        ("numpy.random._mt19937", "MT19937"),
        ("numpy.random._pcg64", "PCG64"),
        ("numpy.random._pickle", "__bit_generator_ctor"),
        ("numpy.random._pickle", "__generator_ctor"),
        ("numpy.random._pickle", "__randomstate_ctor"),
        ("numpy.random.bit_generator", "SeedSequence"),
        ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
        *(("numpy", name) for name in "bool bool_ float16 float32 float64 int8 int16 int32 int64 str_ uint8".split()),
        *(("numpy", name) for name in _UFUNCS),
        ("scipy.interpolate._bsplines", "BSpline"),
        *(("scipy.interpolate._interpolate", name) for name in ("interp1d",)),
        *((f"scipy.sparse._{kind}", f"{kind}_{form}") for kind in ("csr", "csc", "coo", "dok", "lil", "dia")
          for form in ("matrix", "array")),
        ("sklearn.metrics._dist_metrics", "newObj"),
        ("sklearn.neighbors._ball_tree", "newObj"),
        ("sklearn.neighbors._kd_tree", "newObj"),
        *(("sklearn._loss._loss", f"__pyx_unpickle_Cy{name}Loss") for name in _LOSSES.split()),
        *(("sklearn._loss._loss", f"__pyx_unpickle_Cy{name}") for name in _LOSSES.split()),
        *(("sklearn.feature_selection._univariate_selection", name)
          for name in ("chi2", "f_classif", "f_oneway", "f_regression", "r_regression")),
        *(("sklearn.feature_selection._mutual_info", f"mutual_info_{kind}") for kind in ("classif", "regression")),
        ("sklearn.tree._tree", "Tree"),
        ("sklearn.utils.validation", "check_array"),
        *(("sklearn.cluster._kmeans", f"_kmeans_single_{kind}") for kind in ("lloyd", "elkan")),
        *(("numpy", name) for name in ("max", "mean", "median", "min")),
        ("scipy._lib.array_api_compat.numpy._aliases", "asarray"),
        *(("sklearn.metrics._classification", f"{name}_score") for name in
          "accuracy balanced_accuracy f1 fbeta jaccard precision recall".split()),
        *(("sklearn.metrics._ranking", name) for name in ("average_precision_score", "roc_auc_score")),
        *(("sklearn.metrics._regression", name) for name in ("mean_absolute_error", "mean_squared_error", "r2_score")),
    ]
)  # fmt: skip


class CheckArray(partial):  # type: ignore[type-arg]
    """What histogram boosting with categories holds: a partial of check_array, and of no other function."""

    def __new__(cls, function: Any, *arguments: Any, **named: Any) -> "CheckArray":
        return super().__new__(cls, _only_check_array(function), *arguments, **named)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__((_only_check_array(state[0]), *state[1:3], None))  # type: ignore[misc]


def _only_check_array(function: Any) -> Any:
    if function is not check_array:
        raise Refused(f"the pickle makes a partial of {getattr(function, '__name__', function)!r}, which no model needs")
    return function


# What a pickle may name, but gets something else for: a memmap opens the file that it is told to.
_INSTEAD: dict[tuple[str, str], Any] = {("functools", "partial"): CheckArray, ("numpy", "memmap"): np.ndarray}


def resolve(module: str, name: str, trusted: frozenset[str]) -> Any | None:
    """The object that the pickle names, or None when it may not name it. Nothing outside the list is imported."""
    if (module, name) in _INSTEAD:
        return _INSTEAD[(module, name)]
    if (module, name) in NAMES or f"{module}.{name}" in trusted:
        return getattr(import_module(module), name, None)
    parts = module.split(".")
    if parts[0] != "sklearn" or _BARRED & set(parts) or not name.isidentifier() or name.startswith("__"):
        return None
    try:
        found = getattr(sys.modules.get(module) or import_module(module), name, None)
    except ImportError:
        return None
    return found if isinstance(found, type) and found.__module__ == module else None
