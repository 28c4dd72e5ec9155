"""Does every value fall into its bin, and nothing else of it anywhere?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.bins import reference_of
from serving.telemetry.drift import Reference, index, judge
from serving.telemetry.histograms import Bins, Histograms
from tests.serving.telemetry import sites


def test_a_number_falls_below_between_above_or_is_missing() -> None:
    bins = Bins("X", 0, edges=(0.0, 1.0, 2.0))
    column = np.array([-1, 0, 0.5, 1, 1.5, 2, 2.1, np.inf, -np.inf, np.nan])
    assert bins.find(column).tolist() == [0, 1, 1, 2, 2, 2, 3, 3, 0, 4]
    assert bins.labels == ["below 0", "0 to 1", "1 to 2", "above 2", "missing"]


def test_a_constant_column_has_a_bin_of_its_own_for_its_value() -> None:
    made = reference_of({"X": np.full((50, 1), 3.5)}, {}, "data").histograms.inputs[0]
    assert made.count(np.array([3.4, 3.5, 3.6])).tolist() == [1, 1, 1, 0]


def test_categories_and_labels_have_a_bin_each_and_one_for_all_others() -> None:
    bins = Bins("city", 0, values=("Köln", "Ulm"))
    assert bins.count(np.array(["Ulm", "Ulm", "Rom", "Köln"], object)).tolist() == [1, 2, 1]


def test_texts_are_counted_by_their_length_when_there_are_too_many() -> None:
    texts = np.array([["x" * (i % 97)] for i in range(300)], object)
    bins = reference_of({"text": texts}, {}, "data").histograms.inputs[0]
    assert bins.edges
    assert not bins.values
    assert bins.count(np.array(["a secret that nobody may read"], object)).sum() == 1


@given(st.lists(st.floats(width=32), min_size=1, max_size=50))
def test_every_row_is_in_one_bin_of_each_column(numbers: list[float]) -> None:
    reference = REFERENCE
    asked = np.resize(np.array(numbers, np.float32), (len(numbers), 3))
    counts = reference.histograms.count({"X": asked}, {"predict": asked[:, :2]})
    assert {int(part.sum()) for part in reference.histograms.split(counts)} == {len(numbers)}


def made(count: int = 400, seed: int = 0) -> Reference:
    feeds = {"X": sites.rows(count, seed)}
    return reference_of(feeds, {"predict": feeds["X"][:, :2] * 3}, "data")


REFERENCE = made()


def test_a_reference_survives_its_own_json() -> None:
    again = Reference.from_json(REFERENCE.to_json())
    assert again.counts.tolist() == REFERENCE.counts.tolist()
    assert again.histograms.all == REFERENCE.histograms.all
    assert again.limits_for(1000) == REFERENCE.limits_for(1000)


def test_the_vendors_extremes_do_not_travel() -> None:
    values = sites.rows()[:, 0].astype(np.float64)
    edges = REFERENCE.histograms.inputs[0].edges
    assert not {edges[0], edges[-1]} & set(values.tolist())
    assert edges[0] <= values.min()
    assert values.max() <= edges[-1]


def verdicts(reference: Reference, size: int, shift: float, times: int = 60) -> list[str]:
    found = []
    for seed in range(times):
        asked = sites.rows(size, 1000 + seed, shift)
        found.append(judge(reference, reference.histograms.count({"X": asked}, {"predict": asked[:, :2] * 3})).word)
    return found


@pytest.mark.parametrize("size", [100, 1000, 20_000])
def test_chance_alone_is_no_shift_whatever_the_size(size: int) -> None:
    assert verdicts(REFERENCE, size, 0.0).count("shifted") <= 3


def test_a_real_shift_is_seen_that_a_fixed_threshold_misses() -> None:
    reference = made(5000)
    assert verdicts(reference, 10_000, 0.2, 10) == ["shifted"] * 10
    asked = sites.rows(10_000, 5, 0.2)
    counts = reference.histograms.split(reference.histograms.count({"X": asked}, {"predict": asked[:, :2] * 3}))
    there = reference.histograms.split(reference.counts)
    assert max(float(index(here, at)) for here, at in zip(counts, there, strict=True)) < 0.1


def test_columns_that_shift_against_each_other_show_in_the_distance_alone() -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal((2000, 1))
    together = np.concatenate([one, one + 0.1 * rng.standard_normal((2000, 1))], axis=1)
    reference = reference_of({"X": together}, {}, "data")
    apart = np.concatenate([together[:1000, :1], together[1000:, 1:]], axis=1)
    verdict = judge(reference, reference.histograms.count({"X": apart}, {}))
    assert [shift.name for shift in verdict.shifted] == ["distance[0]"]


def test_too_few_rows_are_an_answer() -> None:
    assert set(verdicts(REFERENCE, 99, 5.0, 3)) == {"not enough data"}


def test_a_column_of_which_nothing_was_told_says_nothing() -> None:
    asked = sites.rows(1000, 7)
    counts = REFERENCE.histograms.count({"X": asked}, {"predict": asked[:, :2] * 3})
    counts[: REFERENCE.histograms.inputs[0].size] = 0
    assert REFERENCE.histograms.distance is not None
    counts[-REFERENCE.histograms.distance.bins.size :] = 0
    verdict = judge(REFERENCE, counts)
    assert verdict.word == "as at the vendor's"
    assert "X[0]" not in [shift.name for shift in verdict.shifts]


def test_bins_that_do_not_grow_are_no_bins() -> None:
    with pytest.raises(ValueError, match="edges that grow"):
        Histograms.from_json({"inputs": [{"tensor": "X", "column": 0, "edges": [2, 1]}], "outputs": []})
