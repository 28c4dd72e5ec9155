"""Do tensors cross the wire to the last bit, and is everything else refused?"""

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import numbers, tensors
from serving.errors import InvalidInput, NotInJson
from serving.signature import DTYPES, Tensor

NUMBERS = [name for name, dtype in DTYPES.items() if dtype.kind in "iuf"]


def extremes(datatype: str) -> np.ndarray[Any, Any]:
    dtype = DTYPES[datatype]
    if dtype.kind == "f":
        info = np.finfo(dtype)
        return np.array([0.0, -0.0, info.max, info.min, info.tiny, info.smallest_subnormal, 1 / 3, 1e-3], dtype)
    return np.array([np.iinfo(dtype).min, np.iinfo(dtype).max, 0, 1], dtype)


@pytest.mark.parametrize("datatype", NUMBERS)
def test_json_carries_every_bit_both_ways(datatype: str) -> None:
    array = extremes(datatype)
    text = tensors.to_json(Tensor("Y", datatype, (-1,)), array)
    for back in (
        tensors.from_json("X", datatype, [len(array)], orjson.loads(text)),
        numbers.read(text, array.dtype, array.shape),
    ):
        assert back is not None
        assert back.dtype == array.dtype
        assert back.tobytes() == array.tobytes()


PIECES = st.sampled_from(["[", "]", ",", "1", "2.5", "-0", "-0.0", " ", "[1,2]", "1,2", '"', "\\", "null", "{", "}", ":"])


@given(st.lists(st.lists(PIECES, max_size=6).map("".join), min_size=2, max_size=4))
def test_lists_read_together_are_what_each_is_alone(texts: list[str]) -> None:
    written = [f"[{text}]".encode() for text in texts]
    plain = [text for text in written if numbers.is_list(text)]
    if len(plain) < 2:
        return
    together = numbers.read_all(plain, np.dtype(np.float64), (1, 2))
    if together is not None:
        assert together.tobytes() == np.array([json.loads(text) for text in plain], np.float64).tobytes()


@pytest.mark.parametrize(
    "texts", [[b"[1", b"[2]"], [b"[1,[2,3]", b"[4,5]"], [b'["a]', b'["]'], [b"[1,2],", b"[3,4]"], [b"[1,2]", b"[3,4]]"]]
)
def test_lists_that_conspire_are_not_read(texts: list[bytes]) -> None:
    assert not all(map(numbers.is_list, texts)) or numbers.read_all(texts, np.dtype(np.float64), (1, 2)) is None


@pytest.mark.parametrize("datatype", [*NUMBERS, "BOOL"])
@pytest.mark.parametrize("offset", [0, 1])
def test_bytes_carry_every_bit_both_ways_from_any_address(datatype: str, offset: int) -> None:
    array = extremes(datatype) if datatype != "BOOL" else np.array([True, False])
    raw = memoryview(b"\0" * offset + bytes(tensors.to_bytes(array)))[offset:]
    back = tensors.from_bytes("X", datatype, [len(array)], raw)
    assert back.flags.aligned
    assert back.tobytes() == array.tobytes()


def test_aligned_bytes_are_not_copied() -> None:
    raw = bytes(tensors.to_bytes(np.arange(4.0)))
    assert np.shares_memory(tensors.from_bytes("X", "FP64", [2, 2], memoryview(raw)), np.frombuffer(raw))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20))
def test_a_float32_answer_in_json_is_that_float32(values: list[float]) -> None:
    array = np.array(values, np.float32)
    text = tensors.to_json(Tensor("Y", "FP32", (-1,)), array)
    assert np.array(orjson.loads(text), np.float32).tobytes() == array.tobytes()


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=6))
def test_text_crosses_in_bytes(texts: list[str]) -> None:
    array = np.empty(len(texts), object)
    array[:] = texts
    raw = memoryview(tensors.to_bytes(array))
    assert tensors.from_bytes("X", "BYTES", [len(texts)], raw).tolist() == texts


@pytest.mark.parametrize(
    ("datatype", "data", "message"),
    [
        ("FP32", [1, 2, "3"], "a string at row 0, column 2; FP32 is written as numbers"),
        ("FP32", [1, True, 3], "a boolean at row 0, column 1"),
        ("FP64", [None, 2, 3], "null at row 0, column 0"),
        ("FP64", [1, [2], 3], "a list at row 0, column 1"),
        ("FP64", [1, {}, 3], "an object at row 0, column 1"),
        ("FP32", [1, 2, 1e39], "the number at row 0, column 2 is too large for FP32"),
        ("FP16", [1, 2, 65520], "too large for FP16"),
        ("INT64", [1, 2.5, 3], "the number at row 0, column 1 is not one INT64 can hold exactly"),
        ("INT64", [1, 2.0**53 + 2, 3], "not one INT64 can hold exactly"),
        ("UINT8", [1, 256, 3], "a number does not fit UINT8"),
        ("UINT8", [1, -1, 3], "a number does not fit UINT8"),
        ("INT64", [1, 2**63, 3], "a number does not fit INT64"),
        ("BOOL", [True, 1, False], "a whole number at row 0, column 1; BOOL is written as true and false"),
        ("BYTES", ["a", 1, "b"], "a whole number at row 0, column 1; BYTES is written as strings"),
        ("FP32", [1, 2], "shape [1, 3] has 3 elements, data has 2"),
        ("FP32", [[1, 2]], "data[0] has 2 elements, shape [1, 3] wants 3"),
        ("FP32", [[1, 2, 3], [4, 5, 6]], "data has 2 elements, shape [1, 3] wants 1"),
    ],
)
def test_what_is_not_the_datatype_is_refused_by_place(datatype: str, data: list[Any], message: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        tensors.from_json("X", datatype, [1, 3], data)
    assert message in str(refusal.value)
    assert str(refusal.value).startswith("input 'X': ")


@pytest.mark.parametrize("datatype", [*NUMBERS, "BOOL"])
@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 4), (3, 2, 4)])
def test_parts_cut_out_of_one_text_are_what_each_is_alone(datatype: str, shape: tuple[int, ...]) -> None:
    numerals = np.random.default_rng(0).normal(0, 9, shape)
    for array in (numerals.astype(DTYPES[datatype]), numerals.astype(DTYPES[datatype]).T.copy().T):
        tensor = Tensor("Y", datatype, (-1, *shape[1:]))
        alone = [tensors.to_json(tensor, part) for part in np.split(array, 3)]
        assert tensors.to_json_parts(tensor, array, 3) == alone


def test_ragged_rows_are_refused_even_when_their_total_fits() -> None:
    with pytest.raises(InvalidInput, match=r"data\[1\] has 1 elements"):
        tensors.from_json("X", "FP32", [2, 2], [[1, 2], [3]])
    with pytest.raises(InvalidInput, match=r"data\[0\] has 1 elements"):
        tensors.from_json("X", "FP32", [2, 2], [[1], [2, 3, 4]])
    with pytest.raises(InvalidInput, match=r"data\[1\] is a whole number, shape \[2, 1\] wants 1"):
        tensors.from_json("X", "FP32", [2, 1], [[1], 2])


@pytest.mark.parametrize("data", [[1.0, 2, 3e0, 4], [[1, 2], [3, 4]]])
def test_flat_and_nested_data_are_the_same(data: list[Any]) -> None:
    assert tensors.from_json("X", "FP32", [2, 2], data).tolist() == [[1, 2], [3, 4]]


def test_whole_floats_are_whole_numbers() -> None:
    assert tensors.from_json("X", "INT8", [3], [1.0, -2, 3e0]).tolist() == [1, -2, 3]


def test_no_rows_are_fine() -> None:
    assert tensors.from_json("X", "FP32", [0, 3], []).shape == (0, 3)
    assert tensors.from_bytes("X", "FP32", [0, 3], memoryview(b"")).shape == (0, 3)


@pytest.mark.parametrize(
    ("datatype", "raw", "message"),
    [
        ("FP32", b"\0" * 7, "shape [2] of FP32 is 8 bytes, binary data has 7"),
        ("BOOL", b"\0\2", "a BOOL is one byte, 0 or 1"),
        ("BYTES", b"\1\0\0\0a", "its shape has 2 strings, its binary data 1 and 0 stray bytes"),
        ("BYTES", b"\1\0\0\0a\1\0\0\0bx", "its binary data 2 and 1 stray bytes"),
        ("BYTES", b"\1\0\0\0a\xff\xff\xff\xffb", "string 1 says it goes on past the end"),
        ("BYTES", b"\1\0\0\0a\1\0\0\0\xff", "string 1 is not UTF-8"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(datatype: str, raw: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        tensors.from_bytes("X", datatype, [2], memoryview(raw))
    assert message in str(refusal.value)


def test_a_huge_declared_shape_allocates_nothing() -> None:
    with pytest.raises(InvalidInput, match="binary data has 4"):
        tensors.from_bytes("X", "FP64", [10**9, 10**9, 10**9], memoryview(b"1234"))
    with pytest.raises(InvalidInput, match="data has 1"):
        tensors.from_json("X", "FP64", [10**9, 10**9, 10**9], [1])
    with pytest.raises(InvalidInput, match="binary data 0"):
        tensors.from_bytes("X", "BYTES", [10**9, 10**9], memoryview(b""))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_json_cannot_write_is_never_written_as_something_else(value: float) -> None:
    with pytest.raises(NotInJson, match="at row 1, column 0 cannot be written in JSON; ask for binary_data"):
        tensors.to_json(Tensor("Y", "FP64", (-1, 1), True, True), np.array([[1.0], [value]]))
