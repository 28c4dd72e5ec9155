"""Is what does not fit the model refused, by name, and what fits let through unchanged?"""

from typing import Any

import numpy as np
import pytest

from serving.errors import InvalidInput
from serving.signature import Signature, Tensor, widens

Array = np.ndarray[Any, Any]


def signature(**changes: Any) -> Signature:
    return Signature(
        inputs=(Tensor("X", **{"datatype": "FP64", "shape": (-1, 2)} | changes),),
        outputs=(Tensor("predict", "FP64", (-1, 3)), Tensor("score", "FP64", (-1,))),
    )


def test_what_fits_is_not_copied() -> None:
    rows = np.ones((3, 2))
    assert signature().accept({"X": rows})["X"] is rows


@pytest.mark.parametrize(
    ("given", "wanted", "lossless"),
    [
        ("f4", "f8", True), ("f2", "f4", True), ("f8", "f4", False), ("i4", "f8", True), ("i8", "f8", False),
        ("u8", "f8", False), ("i4", "f4", False), ("i2", "f4", True), ("i4", "i8", True), ("i8", "i4", False),
        ("u4", "i8", True), ("u8", "i8", False), ("i8", "u8", False), ("?", "i8", False), ("?", "f8", False),
        ("f4", "i8", False), ("O", "f8", False), ("f8", "f8", True),
    ],
)  # fmt: skip
def test_a_datatype_widens_only_where_every_value_survives(given: str, wanted: str, lossless: bool) -> None:
    assert widens(np.dtype(given), np.dtype(wanted)) is lossless


def test_a_float32_table_is_widened_exactly() -> None:
    rows = np.array([[0.1, -0.0], [1e-45, 3.4e38]], np.float32)
    accepted = signature().accept({"X": rows})["X"]
    assert accepted.dtype == np.float64
    assert (accepted == rows).all()
    assert np.signbit(accepted[0, 1])


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({"X": np.ones((1, 2), np.int64)}, "input 'X': datatype INT64 would lose information, send FP64"),
        ({"X": np.ones((1, 2), object)}, "input 'X': datatype BYTES is of another kind, send FP64"),
        ({"X": np.ones((1, 3))}, "input 'X': shape [1, 3] does not fit [-1, 2]"),
        ({"X": np.ones(2)}, "input 'X': shape [2] does not fit [-1, 2]"),
        ({"X": np.ones((1, 2, 1))}, "input 'X': shape [1, 2, 1] does not fit [-1, 2]"),
        ({"Y": np.ones((1, 2))}, "input 'Y' is not one of the model's: ['X']"),
        ({}, "input 'X' is missing; the model takes ['X']"),
        ({"X": np.array([[1, 2], [3, np.nan]])}, "input 'X': NaN at row 1, column 1"),
        ({"X": np.array([[1, -np.inf]])}, "input 'X': infinity at row 0, column 1"),
    ],
)
def test_what_does_not_fit_is_named(feeds: dict[str, Array], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        signature().accept(feeds)
    assert said in str(refused.value)


def test_nan_and_infinity_pass_only_where_each_is_a_value() -> None:
    nan, infinity = {"X": np.array([[1, np.nan]])}, {"X": np.array([[1, np.inf]])}
    signature(allow_nan=True).accept(nan)
    signature(allow_infinity=True).accept(infinity)
    with pytest.raises(InvalidInput, match="infinity"):
        signature(allow_nan=True).accept(infinity)
    with pytest.raises(InvalidInput, match="NaN"):
        signature(allow_infinity=True).accept(nan)
    signature(allow_nan=True, allow_infinity=True).accept({"X": np.array([[np.nan, np.inf]])})


def test_a_category_that_the_model_does_not_know_is_refused_and_not_repeated() -> None:
    family = Signature((Tensor("family", "BYTES", (-1, 1), categories=("clark", "naca")),), ())
    rows = np.array([["naca"], ["secret"]], object)
    with pytest.raises(InvalidInput, match=r"input 'family': the value at row 1 is none of the 2 the model knows") as refused:
        family.accept({"family": rows})
    assert "secret" not in str(refused.value)
    assert family.accept({"family": rows[:1]})["family"].shape == (1, 1)
    assert Signature.from_json(family.to_json()) == family


def test_inputs_must_have_as_many_rows_as_each_other() -> None:
    two = Signature((Tensor("a", "FP32", (-1, 1)), Tensor("b", "FP32", (-1, 1))), ())
    with pytest.raises(InvalidInput, match="differ in their number of rows"):
        two.accept({"a": np.ones((2, 1), np.float32), "b": np.ones((3, 1), np.float32)})


def test_no_rows_are_rows_too() -> None:
    assert signature().accept({"X": np.empty((0, 2))})["X"].shape == (0, 2)


def test_outputs_are_selected_by_name_in_the_order_asked_for() -> None:
    assert [t.name for t in signature().select(["score", "predict"])] == ["score", "predict"]
    assert [t.name for t in signature().select([])] == ["predict", "score"]
    with pytest.raises(InvalidInput, match=r"output 'proba' is not one of the model's: \['predict', 'score'\]"):
        signature().select(["proba"])


def test_a_signature_survives_json() -> None:
    for changes in ({}, {"allow_nan": True}, {"allow_infinity": True}):
        assert Signature.from_json(signature(**changes).to_json()) == signature(**changes)
    with pytest.raises(KeyError):
        Signature.from_json({"inputs": [{"name": "X", "datatype": "FP128", "shape": [-1]}], "outputs": []})


def test_an_answer_that_is_no_number_is_a_refusal_of_its_row_where_the_model_has_none_such() -> None:
    answers = {"predict": np.array([[1.0, 2, 3], [4, np.nan, 6]]), "score": np.array([1.0, np.inf])}
    with pytest.raises(InvalidInput, match="row 1 has no answer: 'predict' comes out as NaN"):
        signature().confirm(answers)


def test_an_answer_that_may_be_no_number_is_given() -> None:
    one = Signature(
        (Tensor("X", "FP64", (-1, 2)),), (Tensor("score", "FP64", (-1,), allow_nan=True), Tensor("n", "INT64", (-1,)))
    )
    one.confirm({"score": np.array([np.nan]), "n": np.array([1])})


def test_infinity_is_no_answer_where_only_nan_may_be_one() -> None:
    one = Signature((Tensor("X", "FP64", (-1, 2)),), (Tensor("score", "FP64", (-1,), allow_nan=True),))
    one.confirm({"score": np.array([np.nan, 1.0])})
    said = "row 1 has no answer: 'score' comes out as infinity, so a number of the row lies where the model is not defined"
    with pytest.raises(InvalidInput, match=f"^{said}$"):
        one.confirm({"score": np.array([np.nan, np.inf])})
    other = Signature(one.inputs, (Tensor("score", "FP64", (-1,), allow_infinity=True),))
    other.confirm({"score": np.array([-np.inf])})
    with pytest.raises(InvalidInput, match="comes out as NaN"):
        other.confirm({"score": np.array([np.nan])})


@pytest.mark.parametrize("labels", [{"label": np.array([1])}, {}])
def test_every_output_that_was_computed_is_looked_at(labels: dict[str, Array]) -> None:
    one = Signature((Tensor("X", "FP64", (-1, 2)),), (Tensor("label", "INT64", (-1,)), Tensor("score", "FP64", (-1, 2))))
    with pytest.raises(InvalidInput, match="'score' comes out as NaN"):
        one.confirm({**labels, "score": np.array([[0.0, np.nan]])})


def test_a_datatype_without_a_name_is_told_as_numpy_calls_it() -> None:
    with pytest.raises(InvalidInput, match="input 'X': datatype complex64 is of another kind, send FP64"):
        signature().accept({"X": np.ones((1, 2), np.complex64)})


def test_a_range_with_one_end_is_none() -> None:
    assert "range" not in signature(low=(0.0, 0.0)).to_json()["inputs"][0]


def test_what_cannot_be_read_is_named() -> None:
    for change, named in (
        ({"datatype": "FP80"}, "FP80"),
        ({"range": {"low": [0], "high": [1, 1]}}, "low"),
        ({"codes": []}, "codes"),
    ):
        document = signature().to_json()
        document["inputs"][0] |= change
        with pytest.raises(KeyError, match=named):
            Signature.from_json(document)


RANGE = {"low": (-1.0, -10.0), "high": (1.0, 10.0)}


def test_a_number_further_out_than_was_compared_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidInput, match=r"input 'X': 11 at row 1, column 1 is outside \[-10, 10\]"):
        signature(**RANGE).accept({"X": np.array([[1.0, 10.0], [0.0, 11.0]])})
    with pytest.raises(InvalidInput, match=r"-1\.5 at row 0, column 0"):
        signature(**RANGE).accept({"X": np.array([[-1.5, 10.0]])})


def test_the_ends_of_the_range_are_taken() -> None:
    rows = np.array([[1.0, -10.0], [-1.0, 10.0]])
    assert signature(**RANGE).accept({"X": rows})["X"] is rows


def test_infinity_and_nan_are_outside_no_range_where_they_are_taken() -> None:
    rows = np.array([[np.inf, np.nan], [-np.inf, 0.0]])
    taken = signature(**RANGE, allow_nan=True, allow_infinity=True)
    assert taken.accept({"X": rows})["X"] is rows
    with pytest.raises(InvalidInput, match="infinity at row 0"):
        signature(**RANGE, allow_nan=True).accept({"X": rows})


def test_a_code_that_the_model_does_not_know_is_refused_in_its_column_alone() -> None:
    known = signature(codes=((), (1.0, 2.0)))
    rows = np.array([[7.5, 1.0], [8.0, 2.0]])
    assert known.accept({"X": rows})["X"] is rows
    with pytest.raises(
        InvalidInput, match=r"^input 'X': 1\.5 at row 1, column 1 is none of the 2 codes that the model knows there$"
    ):
        known.accept({"X": np.array([[7.5, 1.0], [8.0, 1.5]])})


def test_what_is_no_text_is_refused_with_its_row() -> None:
    words = Signature((Tensor("city", "BYTES", (-1, 1)),), (Tensor("n", "INT64", (-1,)),))
    assert words.accept({"city": np.array([["Köln"], [""]], object)})
    with pytest.raises(InvalidInput, match="input 'city': None at row 1 is no text"):
        words.accept({"city": np.array([["Köln"], [None]], object)})


def test_codes_come_back_from_json_as_they_were() -> None:
    known = signature(codes=((), (1.0, 2.0)))
    assert Signature.from_json(known.to_json()) == known


def test_a_range_comes_back_from_json_as_it_was() -> None:
    one = signature(**RANGE)
    assert Signature.from_json(one.to_json()) == one


def test_a_range_of_another_width_than_the_input_is_not_read() -> None:
    document = signature(**RANGE).to_json()
    document["inputs"][0]["range"]["low"].pop()
    with pytest.raises(KeyError):
        Signature.from_json(document)
