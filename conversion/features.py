"""Which of its columns does a fitted object read, and what has it learned of each?

A column is followed from the object's input to the first step that has learned something of it: through pipelines, column
transformers, unions, searches, ensembles, and steps that leave it where it is.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import CategoricalNB
from sklearn.pipeline import FeatureUnion

from conversion.errors import Refused
from conversion.learned import scale
from conversion.steps import steps_of

Facts = dict[str, Any]
_HELD = ("estimator_", "regressor_", "estimator", "_preprocessor")
_KNOW = ("steps", "transformers_", "transformer_list", "categories_", "n_categories_", "vocabulary_", "best_estimator_")


def facts_of(estimator: Any, width: int) -> dict[int, Facts]:
    """For each column that is read, by its position: `text`, `categories`, `words`, `centre`, `spread`, as far as known."""
    found: dict[int, Facts] = {}
    for place, facts in _read(estimator, list(range(width))):
        known = found.setdefault(place, {})
        known |= {name: value for name, value in facts.items() if name == "text" or name not in known}
        known["text"] = known.get("text", False) or facts.get("text", False)
    return found


def words_of(estimator: Any) -> tuple[str, ...] | None:
    """Words that an object knows whose rows are texts; None for any other object."""
    first = steps_of(estimator)[0]
    if isinstance(first, CountVectorizer | HashingVectorizer):
        return _words(first)
    held = [inner for _, inner in first.transformer_list] if isinstance(first, FeatureUnion) else _members(first)
    known = [words_of(inner) for inner in held if not isinstance(inner, str)]
    return next((words for words in known if words is not None), None)


def _words(vectorizer: Any) -> tuple[str, ...]:
    if isinstance(vectorizer, HashingVectorizer):
        raise Refused(
            "HashingVectorizer is not covered, since any word counts in it; fit a CountVectorizer or TfidfVectorizer instead"
        )
    return tuple(str(word) for word in list(getattr(vectorizer, "vocabulary_", ()))[:200])


def _read(estimator: Any, places: list[int]) -> Iterator[tuple[int, Facts]]:
    steps = steps_of(estimator)
    while len(steps) > 1 and keeps_places(steps[0]):
        yield from _own(steps[0], places)
        steps = steps[1:]
    first = steps[0]
    if isinstance(first, ColumnTransformer):
        for name, inner, _ in first.transformers_:
            chosen = [places[i] for i in first._transformer_to_input_indices[name]]
            if chosen and not (isinstance(inner, str) and inner == "drop"):
                yield from ((place, {}) for place in chosen)
                yield from _read(inner, chosen) if not isinstance(inner, str) else ()
    elif isinstance(first, FeatureUnion):
        for _, inner in first.transformer_list:
            yield from _read(inner, places) if not isinstance(inner, str) else ()
    else:
        members = [one for one in _members(first) if getattr(one, "n_features_in_", len(places)) == len(places)]
        yield from _own(first, places) if not members else ()
        for inner in members:
            yield from _read(inner, places)


def keeps_places(step: Any) -> bool:
    """Does this imputer give the columns that it takes, in their order, so that what follows reads them as they came?"""
    if not isinstance(step, SimpleImputer) or not hasattr(step, "statistics_"):
        return False
    return not step.add_indicator and len(step.get_feature_names_out()) == step.n_features_in_


def _members(estimator: Any) -> list[Any]:
    """The fitted estimators inside an ensemble or a wrapper that know more of single columns than itself."""
    held = [getattr(estimator, name, None) for name in _HELD]
    many = getattr(estimator, "estimators_", None)
    held += list(many) if isinstance(many, list) else []
    held += [one.estimator for one in getattr(estimator, "calibrated_classifiers_", ())]
    return [one for one in held if hasattr(one, "get_params") and (any(hasattr(one, name) for name in _KNOW) or _members(one))]


def _own(step: Any, places: list[int]) -> Iterator[tuple[int, Facts]]:
    """What one step has learned of the columns that it is given."""
    if isinstance(step, CountVectorizer | HashingVectorizer):
        yield from ((place, {"text": True, "words": _words(step)}) for place in places)
        return
    categories = getattr(step, "categories_", None)
    if isinstance(step, CategoricalNB):
        categories = [np.arange(count) for count in step.n_categories_]
    if categories is not None and len(categories) == len(places):
        yield from ((place, _facts(known)) for place, known in zip(places, categories, strict=True))
        return
    statistics = getattr(step, "statistics_", None)
    if isinstance(statistics, np.ndarray) and statistics.dtype.kind == "O" and len(statistics) == len(places):
        yield from ((place, {"text": isinstance(value, str)}) for place, value in zip(places, statistics, strict=True))
        return
    for place, centre, spread in zip(places, *scale(step, len(places)), strict=True):
        yield place, {"centre": float(centre), "spread": float(spread)}


def _facts(categories: Any) -> Facts:
    """Raises Refused for categories that no client can send."""
    known = np.asarray(categories)
    if known.dtype.kind in "mM":
        raise Refused("a column's categories are dates, for which no datatype is agreed; make numbers or text of them before")
    text = any(isinstance(one, str) for one in known.tolist())
    absent = [one for one in known.tolist() if text and not isinstance(one, str)]
    if absent:
        raise Refused(
            f"one category among {known.tolist()[:3]!r} is {absent[0]!r}: a client can send text, but no missing text;"
            " fill the gaps in before the model, with a word of your own, and fit it again"
        )
    return {"text": text, "categories": tuple(known.tolist())}
