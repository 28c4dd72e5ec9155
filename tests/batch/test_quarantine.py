"""Is every row that the model refuses set aside with its reason, and every other row of its batch answered?"""

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from onnx import helper

from batch.answering import answer
from batch.errors import Retryable
from batch.fitting import Reasons
from serving.model import Model
from serving.signature import Tensor
from tests.batch.working import WEIGHTS, answers, encode, graphs, numbers, parquet, refused, vectors, verified


def identity(tmp_path: Path, tensor: Tensor, rows: Any, out: Tensor | None = None) -> Path:
    output = out or Tensor("Y", tensor.datatype, tensor.shape, tensor.allow_nan, tensor.allow_infinity)
    content = graphs.write([tensor], [output], [helper.make_node("Identity", [tensor.name], ["Y"])], {tensor.name: rows})
    (tmp_path / "model.onnx").write_bytes(content)
    return tmp_path / "model.onnx"


def test_bad_rows_are_set_aside_and_their_neighbours_answered(linear: Path, tmp_path: Path) -> None:
    rows = numbers(3000)
    rows[4, 1], rows[5, 0], rows[2999, 2] = np.nan, np.inf, -np.inf
    given = parquet(tmp_path / "a.parquet", {"part": [f"p{i}" for i in range(3000)], "X": vectors(rows)})
    done = encode(linear, given, tmp_path / "out", id="part", shard_rows=1000)
    assert (done["answered"], done["quarantined"]) == (2997, 3)
    said = "but the model takes only finite numbers"
    assert refused(tmp_path / "out") == [
        ("p4", "a.parquet", 4, f"input 'X': NaN at row 4, column 1, {said}"),
        ("p5", "a.parquet", 5, f"input 'X': infinity at row 5, column 0, {said}"),
        ("p2999", "a.parquet", 2999, f"input 'X': infinity at row 2999, column 2, {said}"),
    ]
    good = np.isfinite(rows).all(axis=1)
    found = answers(tmp_path / "out")
    assert found.column("id").to_pylist() == [f"p{i}" for i in np.flatnonzero(good)]
    assert np.allclose(np.array(found.column("predict").to_pylist()), rows[good] @ WEIGHTS, rtol=1e-5, atol=1e-4)
    assert not verified(given, tmp_path / "out").faults


def test_all_rows_may_be_refused(linear: Path, tmp_path: Path) -> None:
    given = parquet(tmp_path / "a.parquet", {"X": vectors(np.full((2000, 3), np.nan, np.float32))})
    done = encode(linear, given, tmp_path / "out")
    assert (done["answered"], done["quarantined"]) == (0, 2000)
    assert not verified(given, tmp_path / "out").faults


def test_null_and_a_wrong_length_are_reasons(linear: Path, tmp_path: Path) -> None:
    lists = [[1, 2, 3], None, [1, 2], [1, 2, 3, 4], [1, None, 3], [4, 5, 6], []]
    given = parquet(tmp_path / "a.parquet", {"X": pa.array(lists, pa.list_(pa.float32()))})
    encode(linear, given, tmp_path / "out")
    assert {row: reason for _, _, row, reason in refused(tmp_path / "out")} == {
        1: "null in column 'X', expected 3 values",
        2: "2 values in column 'X', expected 3 values",
        3: "4 values in column 'X', expected 3 values",
        4: "null in column 'X'",
        6: "0 values in column 'X', expected 3 values",
    }
    assert answers(tmp_path / "out").column("id").to_pylist() == [0, 5]


def test_a_null_vector_of_fixed_size_is_refused(linear: Path, tmp_path: Path) -> None:
    given = parquet(tmp_path / "a.parquet", {"X": pa.array([[1, 2, 3], None, [4, 5, 6]], pa.list_(pa.float32(), 3))})
    encode(linear, given, tmp_path / "out")
    assert [(row, reason) for _, _, row, reason in refused(tmp_path / "out")] == [(1, "null in column 'X', expected 3 values")]
    assert np.allclose(answers(tmp_path / "out").column("predict").to_pylist(), [[14, 140], [32, 320]])


def test_null_is_nan_where_the_model_takes_nan(tmp_path: Path) -> None:
    model = identity(tmp_path, Tensor("X", "FP64", (-1, 2), allow_nan=True), np.array([[1.0, np.nan]]))
    given = parquet(tmp_path / "a.parquet", {"a": [1.0, None], "b": [2.0, 3.0]})
    encode(model, given, tmp_path / "out")
    assert not refused(tmp_path / "out")
    found = np.array(answers(tmp_path / "out").column("Y").to_pylist(), np.float64)
    assert np.array_equal(found, np.array([[1, 2], [np.nan, 3]]), equal_nan=True)


def test_a_null_id_is_refused_and_keeps_its_place(linear: Path, tmp_path: Path) -> None:
    given = parquet(tmp_path / "a.parquet", {"n": pa.array([7, None, 9]), "X": vectors(numbers(3))})
    encode(linear, given, tmp_path / "out", id="n")
    assert refused(tmp_path / "out") == [(None, "a.parquet", 1, "null in the id column 'n'")]
    assert not verified(given, tmp_path / "out").faults


def test_what_lies_out_of_range_and_unknown_categories_are_refused(tmp_path: Path) -> None:
    ranged = identity(tmp_path, Tensor("X", "FP64", (-1, 1), low=(0.0,), high=(1.0,)), np.array([[0.5]]))
    given = parquet(tmp_path / "a.parquet", {"X": [0.5, 1.5, 1.0, -0.1]})
    encode(ranged, given, tmp_path / "out")
    assert [(row, reason[:44]) for _, _, row, reason in refused(tmp_path / "out")] == [
        (1, "input 'X': 1.5 at row 1, column 0 is outside"), (3, "input 'X': -0.1 at row 3, column 0 is outsid"),
    ]  # fmt: skip
    known = Tensor("X", "BYTES", (-1, 1), categories=("Ulm", "Köln"))
    cities = identity(tmp_path, known, np.array([["Ulm"]], object))
    given = parquet(tmp_path / "b.parquet", {"X": ["Ulm", "Bonn", None, "Köln"]})
    encode(cities, given, tmp_path / "cities")
    assert [(row, reason) for _, _, row, reason in refused(tmp_path / "cities")] == [
        (1, "input 'X': the value at row 1 is none of the 2 the model knows"), (2, "null in column 'X'"),
    ]  # fmt: skip
    assert answers(tmp_path / "cities").column("Y").to_pylist() == ["Ulm", "Köln"]


def test_whole_numbers_that_do_not_fit_are_refused_one_by_one(tmp_path: Path) -> None:
    doubles = identity(tmp_path, Tensor("X", "FP64", (-1, 1)), np.array([[1.0]]))
    given = parquet(tmp_path / "a.parquet", {"X": np.array([2**53, 2**53 + 1, -3, 2**63 - 1])})
    encode(doubles, given, tmp_path / "out")
    assert [row for _, _, row, _ in refused(tmp_path / "out")] == [1, 3]
    assert answers(tmp_path / "out").column("Y").to_pylist() == [2.0**53, -3.0]
    unsigned = identity(tmp_path, Tensor("X", "UINT64", (-1, 1)), np.array([[1]], np.uint64))
    given = parquet(tmp_path / "b.parquet", {"X": np.array([-1, 5])})
    encode(unsigned, given, tmp_path / "unsigned")
    assert [reason for *_, reason in refused(tmp_path / "unsigned")] == [
        "-1 in column 'X' is no UINT64 without losing information"
    ]


def test_what_is_no_number_in_a_csv_is_refused_with_its_text(linear: Path, tmp_path: Path) -> None:
    given = tmp_path / "a.csv"
    given.write_text("n,a,b,c\np,1,2,3\nq,1,,3\nr,1,two,3\ns,nan,2,3\nt,1,1e99,3\nu,1,2\nv, 4 ,5,6\n\nw,7,8,9\nx,1,2,3,4\n")
    done = encode(linear, given, tmp_path / "out", id="n")
    assert (done["rows"], done["answered"], done["quarantined"]) == (10, 3, 7)
    assert answers(tmp_path / "out").column("id").to_pylist() == ["p", "v", "w"]
    assert sorted(refused(tmp_path / "out"), key=lambda one: one[2]) == [
        ("q", "a.csv", 1, "null in column 'b'"),
        ("r", "a.csv", 2, "'two' in column 'b' is no float"),
        ("s", "a.csv", 3, "input 'X': NaN at row 3, column 0, but the model takes only finite numbers"),
        ("t", "a.csv", 4, "input 'X': infinity at row 4, column 1, but the model takes only finite numbers"),
        (None, "a.csv", 5, "has 3 columns, the header 4"),
        ("", "a.csv", 7, "null in column 'a'"),
        (None, "a.csv", 9, "has 5 columns, the header 4"),
    ]
    assert not verified(given, tmp_path / "out").faults


def test_broken_rows_of_a_csv_keep_their_number_as_the_id(linear: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    (tmp_path / "in" / "b.csv").write_text("a,b,c\n1,2\n4,5,6\n1,2,3,4\n")
    encode(linear, tmp_path / "in", tmp_path / "out")
    assert answers(tmp_path / "out").column("id").to_pylist() == [0, 1, 3]
    assert [(number, row) for number, _, row, _ in refused(tmp_path / "out")] == [(2, 0), (4, 2)]
    assert not verified(tmp_path / "in", tmp_path / "out").faults


def test_a_row_on_which_the_graph_fails_is_refused_alone(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(graphs.no_empty_batch())
    rows = np.array([[1, 2, 3], [9, 0, 1], [3, 0, 1], [2, 8, 0]], np.float32)
    given = parquet(tmp_path / "a.parquet", {"X": vectors(rows)})
    encode(tmp_path / "model.onnx", given, tmp_path / "out")
    assert [row for _, _, row, _ in refused(tmp_path / "out")] == [1, 3]
    assert all("the model fails on it" in reason for *_, reason in refused(tmp_path / "out"))
    assert answers(tmp_path / "out").column("id").to_pylist() == [0, 2]


def test_a_row_without_an_answer_is_refused_alone(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sqrt", ["X"], ["Y"])]
    content = graphs.write([Tensor("X", "FP64", (-1, 1))], [Tensor("Y", "FP64", (-1, 1))], nodes, {"X": np.array([[4.0]])})
    (tmp_path / "model.onnx").write_bytes(content)
    given = parquet(tmp_path / "a.parquet", {"X": [4.0, -1.0, 9.0]})
    encode(tmp_path / "model.onnx", given, tmp_path / "out")
    assert [(row, reason[:21]) for _, _, row, reason in refused(tmp_path / "out")] == [(1, "row 1 has no answer: ")]
    assert answers(tmp_path / "out").column("Y").to_pylist() == [2.0, 3.0]


def test_a_batch_that_is_answered_is_forgotten_at_once(linear: Path) -> None:
    """A circle of references kept 17 MB of each batch until Python looked for it: 570 MB in a worker, now 230."""
    model, rows, reasons = Model.load(linear), numbers(50), Reasons()
    rows[7] = np.nan
    kept = weakref.ref(rows)
    gc.disable()
    try:
        answer(model, {"X": rows}, reasons)
        assert list(reasons) == [7]
        del rows
        assert kept() is None
    finally:
        gc.enable()


def test_no_memory_is_no_reason_to_set_a_row_aside(linear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Exception):
        """As onnxruntime's own."""

    Full.__module__ = "onnxruntime.capi"

    def run(*_: object) -> None:
        raise Full("bad allocation")

    model = Model.load(linear)
    monkeypatch.setattr(Model, "run", run)
    reasons: Reasons = {}
    with pytest.raises(Retryable, match="no memory"):
        answer(model, {"X": numbers(3)}, reasons)
    assert not reasons
