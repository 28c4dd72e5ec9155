"""Does every kind of table give the answers that the model gives?"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import helper

from batch import fitting
from batch.errors import Hopeless
from serving.model import Model
from serving.signature import Array, Tensor
from tests.batch.working import (
    ROOT,
    WEIGHTS,
    answers,
    encode,
    graphs,
    manifest_of,
    numbers,
    parquet,
    refused,
    vectors,
    verified,
)


def expect(out: Path, rows: Array, ids: list[Any]) -> None:
    found = answers(out)
    assert found.column("id").to_pylist() == ids
    got = np.array(found.column("predict").to_pylist(), np.float32)
    assert np.allclose(got, rows @ WEIGHTS, rtol=1e-5, atol=1e-4)


def test_a_list_column_is_read_by_row_groups(linear: Path, tmp_path: Path) -> None:
    rows = numbers(2500)
    parquet(tmp_path / "in" / "a.parquet", {"part": [f"p{i}" for i in range(2500)], "X": vectors(rows)})
    done = encode(linear, tmp_path / "in", tmp_path / "out", id="part", shard_rows=1000)
    expect(tmp_path / "out", rows, [f"p{i}" for i in range(2500)])
    assert (done["rows"], done["answered"], done["quarantined"]) == (2500, 2500, 0)
    assert [(unit.start, unit.rows, unit.groups) for unit in manifest_of(tmp_path / "out").units] == [
        (0, 1000, (0, 1)), (1000, 1000, (1, 2)), (2000, 500, (2, 3)),
    ]  # fmt: skip
    assert not verified(tmp_path / "in", tmp_path / "out").faults


LISTS = [pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 3)]


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize(("first", "rows"), [(0, 10), (3, 5), (9, 1), (4, 0), (10, 0)])
def test_of_a_slice_only_its_own_rows_are_read(linear: Path, kind: Any, first: int, rows: int) -> None:
    all_rows, signature = numbers(10), Model.load(linear).signature
    batch = pa.RecordBatch.from_arrays([pa.array(all_rows.tolist(), kind)], ["X"]).slice(first, rows)
    feeds, reasons = fitting.read(batch, {signature.inputs[0].name: ("X",)}, signature)
    assert np.array_equal(feeds[signature.inputs[0].name], all_rows[first : first + rows])
    assert not reasons


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_may_be_of_any_sort_arrow_has(linear: Path, tmp_path: Path, kind: Any) -> None:
    rows = numbers(40)
    given = parquet(tmp_path / "a.parquet", {"whatever": pa.array(rows.tolist(), kind)})
    encode(linear, given, tmp_path / "out")
    expect(tmp_path / "out", rows, list(range(40)))


def test_wide_columns_are_taken_in_the_order_asked_for(linear: Path, tmp_path: Path) -> None:
    rows = numbers(100)
    given = parquet(tmp_path / "a.parquet", {"c": rows[:, 2], "name": ["x"] * 100, "a": rows[:, 0], "b": rows[:, 1]})
    encode(linear, given, tmp_path / "out", columns=("a", "b", "c"))
    expect(tmp_path / "out", rows, list(range(100)))


def test_all_columns_but_the_id_are_taken_where_there_are_as_many(linear: Path, tmp_path: Path) -> None:
    rows = numbers(10)
    given = parquet(tmp_path / "a.parquet", {"one": rows[:, 0], "n": np.arange(5, 15), "two": rows[:, 1], "three": rows[:, 2]})
    encode(linear, given, tmp_path / "out", id="n")
    expect(tmp_path / "out", rows, list(range(5, 15)))


def test_csv_is_read_as_a_stream_with_ids_as_they_are_written(linear: Path, tmp_path: Path) -> None:
    rows = numbers(30_000)
    lines = [f"{i:06},{a:.9g}, {b:.9g} ,{c:.9g}" for i, (a, b, c) in enumerate(rows)]
    given = tmp_path / "a.csv"
    given.write_text("part,a,b,c\n" + "\n".join(lines) + "\n")
    encode(linear, given, tmp_path / "out", id="part")
    expect(tmp_path / "out", rows, [f"{i:06}" for i in range(30_000)])
    assert not verified(given, tmp_path / "out").faults


def test_rows_of_several_csv_files_are_numbered_through(linear: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.csv").write_text("x,y,z\n1,2,3\n4,5,6\n")
    encode(linear, tmp_path / "in", tmp_path / "out")
    expect(tmp_path / "out", np.array([[1, 2, 3], [4, 5, 6]] * 2, np.float32), [0, 1, 2, 3])


def test_an_array_is_cut_into_ranges_of_rows(linear: Path, tmp_path: Path) -> None:
    rows = numbers(1001)
    np.save(tmp_path / "a.npy", rows)
    encode(linear, tmp_path / "a.npy", tmp_path / "out", shard_rows=400)
    expect(tmp_path / "out", rows, list(range(1001)))
    assert [unit.rows for unit in manifest_of(tmp_path / "out").units] == [400, 400, 201]
    assert not verified(tmp_path / "a.npy", tmp_path / "out").faults


def test_several_inputs_and_outputs_are_columns_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "table.onnx").write_bytes(graphs.table())
    given = parquet(tmp_path / "a.parquet", {"city": ["Ulm", "Köln"], "age": [0.5, 2.0]})
    encode(tmp_path / "table.onnx", given, tmp_path / "out")
    assert answers(tmp_path / "out").to_pylist() == [
        {"id": 0, "doubled": 1.0, "label": "Ulm", "old": 0}, {"id": 1, "doubled": 4.0, "label": "Köln", "old": 1},
    ]  # fmt: skip


def test_the_model_is_named_in_the_files_and_its_bins_are_counted(tmp_path: Path) -> None:
    model = Model.load(ROOT / "model.onnx")
    assert model.reference is not None
    feeds = {name: np.concatenate([rows] * 3) for name, rows in model.verification.rows.items()}
    given = parquet(tmp_path / "a.parquet", {"X": vectors(feeds["X"])}, 50)
    done = encode(ROOT / "model.onnx", given, tmp_path / "out", shard_rows=50)
    assert done["model"] == model.digest
    assert done["histograms"]["counts"] == model.reference.histograms.count(feeds, model.run(feeds)).tolist()
    assert done["histograms"]["rows"] == len(feeds["X"])
    part = next((tmp_path / "out").glob("part-*"))
    assert pq.read_schema(part).metadata[b"unjar.model"].decode() == model.digest
    assert json.loads((tmp_path / "out" / "_SUCCESS.json").read_bytes()) == done


def test_of_many_rows_about_four_thousand_are_counted(tmp_path: Path) -> None:
    model = Model.load(ROOT / "model.onnx")
    rows = np.resize(model.verification.rows["X"], (20_000, 130))
    given = parquet(tmp_path / "a.parquet", {"X": vectors(rows)}, 5000)
    done = encode(ROOT / "model.onnx", given, tmp_path / "out", shard_rows=5000)
    assert 4500 < done["histograms"]["rows"] < 5500
    assert done["histograms"]["every"] == 4


def refusals(tmp_path: Path) -> dict[str, tuple[Path, dict[str, Any], str]]:
    rows = numbers(4)
    (tmp_path / "dat").mkdir()
    (tmp_path / "dat" / "naca0012.dat").write_text("1 0\n")
    (tmp_path / "mixed").mkdir()
    np.save(tmp_path / "mixed" / "a.npy", rows)
    (tmp_path / "mixed" / "b.csv").write_text("a\n1\n")
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "objects.npy", np.array([[1, "a", None]], object), allow_pickle=True)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(rows))
    np.save(tmp_path / "wide.npy", numbers(4, 5))
    np.save(tmp_path / "short.npy", rows)
    (tmp_path / "short.npy").write_bytes((tmp_path / "short.npy").read_bytes()[:-1])
    whole = parquet(tmp_path / "whole.parquet", {"X": vectors(rows)}).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "twice.csv").write_text("a,a,b\n1,2,3\n")
    return {
        "contours": (tmp_path / "dat", {}, "for the encoder of outlines; this model is none"),
        "two kinds": (tmp_path / "mixed", {}, "expected files of one kind"),
        "nothing": (tmp_path / "empty", {}, "holds no file"),
        "objects": (tmp_path / "objects.npy", {}, "holds object, expected numbers"),
        "columns first": (tmp_path / "fortran.npy", {}, "ascontiguousarray"),
        "another width": (tmp_path / "wide.npy", {}, r"has shape \[4, 5\], input 'X' \[-1, 3\]"),
        "an array cut short": (tmp_path / "short.npy", {}, "has 175 bytes, its header says 176"),
        "a file cut short": (tmp_path / "cut.parquet", {}, "cannot be read"),
        "an id of an array": (tmp_path / "wide.npy", {"id": "n"}, "rows are numbered"),
        "no such id": (tmp_path / "whole.parquet", {"id": "n"}, "has 0 columns 'n'"),
        "no such column": (tmp_path / "whole.parquet", {"columns": ("a", "b", "c")}, "has 0 columns 'a'"),
        "a column too many": (tmp_path / "whole.parquet", {"columns": ("X", "b")}, "'b' is one more"),
        "a column twice": (tmp_path / "twice.csv", {}, "has 2 columns 'a'"),
        "too few columns": (parquet(tmp_path / "f.parquet", {"a": [1.0], "b": [2.0]}), {}, "2 columns .* which has 3"),
        "doubles": (parquet(tmp_path / "d.parquet", {"X": vectors(np.ones((2, 3)))}), {}, "would lose information"),
        "text": (parquet(tmp_path / "t.parquet", {c: ["1"] for c in "abc"}), {}, "is string, which is no FP32"),
    }


NAMES = (
    "contours", "two kinds", "nothing", "objects", "columns first", "another width", "an array cut short", "a file cut short",
    "an id of an array", "no such id", "no such column", "a column too many", "a column twice", "too few columns", "doubles",
    "text",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_table_that_does_not_fit_is_refused_before_anything_is_written(linear: Path, tmp_path: Path, name: str) -> None:
    given, asked, said = refusals(tmp_path)[name]
    with pytest.raises(Hopeless, match=said):
        encode(linear, given, tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()


def test_every_refusal_above_is_tried(tmp_path: Path) -> None:
    assert tuple(refusals(tmp_path)) == NAMES


def test_an_output_named_as_the_ids_are_is_refused(tmp_path: Path) -> None:
    tensor = Tensor("X", "FP32", (-1, 1))
    nodes = [helper.make_node("Identity", ["X"], ["id"])]
    content = graphs.write([tensor], [Tensor("id", "FP32", (-1, 1))], nodes, {"X": numbers(2, 1)})
    (tmp_path / "model.onnx").write_bytes(content)
    given = parquet(tmp_path / "a.parquet", {"X": numbers(2, 1)[:, 0]})
    with pytest.raises(Hopeless, match="named 'id'"):
        encode(tmp_path / "model.onnx", given, tmp_path / "out")


def test_no_rows_are_a_table_too(linear: Path, tmp_path: Path) -> None:
    given = parquet(tmp_path / "in" / "a.parquet", {"X": vectors(numbers(3))[:0]})
    np.save(tmp_path / "a.npy", numbers(0))
    for i, one in enumerate((given, tmp_path / "a.npy")):
        done = encode(linear, one, tmp_path / f"out{i}")
        assert (done["rows"], done["answered"]) == (0, 0)
        assert not verified(one, tmp_path / f"out{i}").faults
        assert not refused(tmp_path / f"out{i}")
