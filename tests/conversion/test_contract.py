"""Does the signature take what was compared, and nothing that was not?"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from conversion.search import Accepted, search
from serving.errors import InvalidInput
from serving.signature import Array
from tests.conversion.asking import question


def label(rows: Array) -> Array:
    return np.asarray((rows[:, 0] > 0).astype(int))


def found(estimator: Any) -> Accepted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return search(question(estimator))


def highest(accepted: Accepted) -> Array:
    high = accepted.signature.inputs[0].high
    assert high is not None
    return np.array(high)


def test_numbers_are_taken_as_far_as_the_answers_held(rows: Array) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, label(rows))
    accepted = found(model)
    high = highest(accepted)
    assert (high > 900 * np.abs(rows).max(axis=0)).all()
    with pytest.raises(InvalidInput, match="column 2 is outside"):
        accepted.signature.accept({"X": np.where(np.arange(4) == 2, 2 * high, 0.0)[None]})
    inside = np.concatenate([high[None], -high[None]])
    answered = accepted.session.answer(accepted.signature.accept({"X": inside}), ["predict", "predict_proba"])
    assert np.allclose(answered["predict_proba"], model.predict_proba(inside), atol=1e-5)


def test_the_range_says_on_which_rows_it_was_found(rows: Array) -> None:
    accepted = found(LinearRegression().fit(rows, rows[:, 0]))
    kinds = [finding.kind for finding in accepted.findings]
    reached = np.floor(np.log10((highest(accepted) / np.abs(rows).max(axis=0)).max()))
    assert ("typical x 10,000" in kinds) == (reached > 3)


def test_what_is_proved_has_no_range(rows: Array) -> None:
    accepted = found(RandomForestClassifier(5, random_state=0).fit(rows, label(rows)))
    assert accepted.evidence["evidence"] == "proved"
    assert accepted.signature.inputs[0].high is None


def test_rows_with_gaps_are_evidence_where_they_are_taken(rows: Array) -> None:
    accepted = found(RandomForestClassifier(5, random_state=0).fit(rows, label(rows)))
    assert accepted.signature.inputs[0].allow_nan
    assert "missing values" in {finding.kind for finding in accepted.findings}


def test_a_gap_is_taken_in_the_column_that_is_filled_in_alone(rows: Array) -> None:
    frame = pd.DataFrame(rows, columns=list("abcd")).assign(kind=np.where(rows[:, 1] > 20, "x", "y"))
    prepared = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["a"]), (StandardScaler(), ["b", "c"]), (OneHotEncoder(), ["kind"])
    )
    accepted = found(make_pipeline(prepared, LogisticRegression()).fit(frame, label(rows)))
    taken = {tensor.name: tensor.allow_nan for tensor in accepted.signature.inputs}
    assert taken == {"a": True, "b": False, "c": False, "kind": False}
