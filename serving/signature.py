"""What does the model take and give: names, shapes, datatypes, and is NaN a value?

Knows nothing of HTTP and nothing of onnxruntime: arrays go in, arrays the model may be run on come out.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from serving.errors import InvalidInput

Array = np.ndarray[Any, np.dtype[Any]]

# Open Inference Protocol name -> numpy dtype. BYTES holds text; onnxruntime wants it as Python objects.
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}
DATATYPES: dict[np.dtype[Any], str] = {dtype: name for name, dtype in DTYPES.items()}


def widens(given: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Is every value of `given` exactly a value of `wanted`?"""
    if given == wanted:
        return True
    if given.kind not in "iuf" or wanted.kind not in "iuf":
        return False
    # numpy calls int64 -> float64 safe, but float64 holds whole numbers exactly only up to 2**53.
    if given.kind in "iu" and wanted.kind == "f" and given.itemsize == 8:
        return False
    return bool(np.can_cast(given, wanted, "safe"))


@dataclass(frozen=True)
class Tensor:
    """One input or output. `shape` begins with -1, the number of rows.

    With `categories` the model answers these values only, as scikit-learn refuses every other; with `codes` the same for
    each feature of a table, where an empty tuple stands for any value. With `low` and `high`, one number per feature, it
    answers finite numbers between them, as further out nobody compared its answers.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    allow_nan: bool = False
    allow_infinity: bool = False
    categories: tuple[Any, ...] | None = None
    codes: tuple[tuple[float, ...], ...] | None = None
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        return DTYPES[self.datatype]

    def expect(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Raises InvalidInput when such an array is none for this input: which input, what came, what is wanted."""
        # numpy keeps one object for each plain dtype.
        if dtype is not self.dtype and not widens(dtype, self.dtype):
            numbers = dtype.kind in "iuf" and self.dtype.kind in "iuf"
            reason = "would lose information" if numbers else "is of another kind"
            given = DATATYPES.get(dtype, str(dtype))
            raise InvalidInput(f"input {self.name!r}: datatype {given} {reason}, send {self.datatype}")
        if len(shape) != len(self.shape) or shape[1:] != self.shape[1:]:
            raise InvalidInput(f"input {self.name!r}: shape {list(shape)} does not fit {list(self.shape)}")

    def check(self, array: Array) -> None:
        """Raises InvalidInput for a value of an array that fits, on which the model is not defined."""
        if array.dtype.hasobject:
            self._refuse_no_text(array)
        # One pass that is almost always enough: a sum of squares this small has no large, infinite or NaN element.
        if self._squares is not None and np.vdot(array, array) <= self._squares:
            return
        if array.dtype.kind == "f" and not (self.allow_nan and self.allow_infinity):
            self._refuse_not_finite(array)
        if self.categories is not None:
            self._refuse_unknown(array)
        for feature, known in enumerate(self.codes or ()):
            if known:
                self._refuse_unknown_code(array[:, feature], feature, known)
        if self._range is not None:
            self._refuse_outside(array, *self._range)

    def _refuse_unknown_code(self, values: Array, feature: int, known: tuple[float, ...]) -> None:
        strange = ~np.isin(values, known) & ~np.isnan(values)
        if strange.any():
            row = int(strange.argmax())
            raise InvalidInput(
                f"input {self.name!r}: {values[row]:g} at row {row}, column {feature} is none of the {len(known)} codes"
                " that the model knows there"
            )

    @cached_property
    def _squares(self) -> float | None:
        """What the squares of all numbers may add up to where no further question is left about any of them."""
        if self.dtype.kind != "f" or self.categories is not None or self.codes is not None:
            return None
        if self.low is None or self.high is None:
            return float(np.finfo(self.dtype).max)
        nearest = min(*self.high, *(-low for low in self.low))
        return 0.99 * nearest**2 if nearest > 0 else None

    @cached_property
    def _range(self) -> tuple[Array, Array] | None:
        return None if self.low is None or self.high is None else (np.array(self.low), np.array(self.high))

    def _refuse_outside(self, array: Array, low: Array, high: Array) -> None:
        outside = (array < low) | (array > high)
        if not outside.any():
            return
        if self.allow_infinity:
            outside &= ~np.isinf(array)
        if outside.any():
            row, column = (int(i) for i in np.unravel_index(int(outside.argmax()), array.shape))
            raise InvalidInput(
                f"input {self.name!r}: {array[row, column]:g} at row {row}, column {column} is outside [{low[column]:g},"
                f" {high[column]:g}], as far as the model's answers were compared with scikit-learn's"
            )

    def _refuse_no_text(self, array: Array) -> None:
        for row, value in enumerate(array.reshape(-1).tolist()):
            if not isinstance(value, str):
                raise InvalidInput(f"input {self.name!r}: {value!r} at row {row} is no text")

    def _refuse_unknown(self, array: Array) -> None:
        known = set(self.categories or ())
        for row, value in enumerate(array.reshape(-1).tolist()):
            if value not in known:
                count = len(known)
                raise InvalidInput(f"input {self.name!r}: the value at row {row} is none of the {count} the model knows")

    def _refuse_not_finite(self, array: Array) -> None:
        finite = np.isfinite(array)
        if finite.all():
            return
        refused = ~finite
        if self.allow_nan:
            refused &= ~np.isnan(array)
        if self.allow_infinity:
            refused &= ~np.isinf(array)
        if refused.any():
            at = np.unravel_index(int(refused.argmax()), array.shape)
            where = f"row {at[0]}" + "".join(f", column {i}" for i in at[1:])
            found = "NaN" if np.isnan(array[at]) else "infinity"
            raise InvalidInput(f"input {self.name!r}: {found} at {where}, but the model takes only finite numbers")


@dataclass(frozen=True)
class Signature:
    """The model's inputs and outputs, in the graph's order."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def accept(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The arrays the session may be run on. Raises InvalidInput for the first thing that does not fit."""
        self.expect({name: (array.dtype, array.shape) for name, array in feeds.items()})
        fitting = {tensor.name: feeds[tensor.name].astype(tensor.dtype, copy=False) for tensor in self.inputs}
        self.check(fitting)
        return fitting

    def expect(self, arrays: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]) -> None:
        """Raises InvalidInput when arrays of these datatypes and shapes are no question to the model."""
        names = [tensor.name for tensor in self.inputs]
        for name in arrays:
            if name not in names:
                raise InvalidInput(f"input {name!r} is not one of the model's: {names}")
        missing = [name for name in names if name not in arrays]
        if missing:
            raise InvalidInput(f"input {missing[0]!r} is missing; the model takes {names}")
        for tensor in self.inputs:
            tensor.expect(*arrays[tensor.name])
        rows = {name: shape[0] for name, (_, shape) in arrays.items()}
        if len(set(rows.values())) > 1:
            raise InvalidInput(f"inputs differ in their number of rows: {rows}")

    def check(self, feeds: Mapping[str, Array]) -> None:
        """Raises InvalidInput for the first value, of arrays that fit, on which the model is not defined."""
        for tensor in self.inputs:
            tensor.check(feeds[tensor.name])

    def confirm(self, answers: Mapping[str, Array]) -> None:
        """Raises InvalidInput where an answer is NaN or infinite and the model's never are: scikit-learn refuses such rows."""
        for tensor in self.outputs:
            answer = answers.get(tensor.name)
            if answer is None or answer.dtype.kind != "f" or math.isfinite(np.vdot(answer, answer)):
                continue
            for word, bad in (("NaN", np.isnan), ("infinity", np.isinf)):
                allowed = tensor.allow_nan if word == "NaN" else tensor.allow_infinity
                undefined = not allowed and bad(answer).reshape(len(answer), -1).any(axis=1)
                if np.any(undefined):
                    raise InvalidInput(
                        f"row {int(np.argmax(undefined))} has no answer: {tensor.name!r} comes out as {word}, so a number of"
                        " the row lies where the model is not defined"
                    )

    def select(self, wanted: list[str]) -> list[Tensor]:
        """The named outputs, in the order asked for; all of them when none is named. Raises InvalidInput."""
        known = {tensor.name: tensor for tensor in self.outputs}
        for name in wanted:
            if name not in known:
                raise InvalidInput(f"output {name!r} is not one of the model's: {list(known)}")
        return [known[name] for name in wanted] or list(self.outputs)

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": [_describe(tensor) for tensor in self.inputs],
            "outputs": [_describe(tensor) for tensor in self.outputs],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Signature":
        """Raises KeyError or TypeError when the document is not one that `to_json` wrote."""
        return cls(*(tuple(_tensor(entry) for entry in document[side]) for side in ("inputs", "outputs")))


def _describe(tensor: Tensor) -> dict[str, Any]:
    described: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    if tensor.allow_nan:
        described["allow_nan"] = True
    if tensor.allow_infinity:
        described["allow_infinity"] = True
    if tensor.categories is not None:
        described["categories"] = list(tensor.categories)
    if tensor.codes is not None:
        described["codes"] = [list(known) for known in tensor.codes]
    if tensor.low is not None and tensor.high is not None:
        described["range"] = {"low": list(tensor.low), "high": list(tensor.high)}
    return described


def _tensor(entry: Mapping[str, Any]) -> Tensor:
    if entry["datatype"] not in DTYPES:
        raise KeyError(entry["datatype"])
    given = {name: value for name, value in entry.items() if name != "range"} | {"shape": tuple(entry["shape"])}
    if "categories" in entry:
        given["categories"] = tuple(entry["categories"])
    if "codes" in entry:
        given["codes"] = tuple(tuple(known) for known in entry["codes"])
    if "range" in entry:
        given |= {side: tuple(entry["range"][side]) for side in ("low", "high")}
    tensor = Tensor(**given)
    for name in ("codes", "low", "high"):
        if getattr(tensor, name) is not None and len(getattr(tensor, name)) != tensor.shape[-1]:
            raise KeyError(name)
    return tensor
