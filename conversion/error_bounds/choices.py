"""How is a label taken from scores, in scikit-learn or in a graph, and when are two that are taken alike the same?"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.error_bounds.rounding import NotBounded, Value, apart
from serving.signature import Array


@dataclass(frozen=True)
class Choice:
    """The number of a class: of the largest score, the first of equals; or 1 above (or from) a threshold and else 0."""

    scores: Value
    rule: str
    threshold: float = 0.0


@dataclass(frozen=True)
class Labels:
    """The class that is chosen, out of these."""

    choice: Choice
    classes: tuple[Any, ...]


Answer = Value | Choice | Labels


def plain_classes(classes: Any) -> tuple[Any, ...]:
    """As they stand in a graph: text, or whole numbers; another number stays what it is, and is in no graph."""
    return tuple(str(one) if isinstance(one, str) else int(one) if int(one) == one else float(one) for one in classes)


def margin_of(value: Answer, wanted: Labels) -> float:
    """Above which difference of scikit-learn's scores the labels are equal."""
    if not isinstance(value, Labels):
        raise NotBounded("the graph answers a number where scikit-learn answers a label")
    if value.classes != wanted.classes or list(map(type, value.classes)) != list(map(type, wanted.classes)):
        raise NotBounded(f"the graph's classes are {list(value.classes)[:5]}, scikit-learn's {list(wanted.classes)[:5]}")
    one, two = value.choice, wanted.choice
    if (one.rule, one.threshold) != (two.rule, two.threshold):
        raise NotBounded(f"the graph takes the label by {one.rule!r}, scikit-learn by {two.rule!r}")
    count = two.scores.width if two.rule == "largest" else 2
    if count != len(wanted.classes):
        raise NotBounded(f"{count} scores decide between {len(wanted.classes)} classes")
    gap = largest(apart(one.scores, two.scores))
    return 2 * gap if two.rule == "largest" else gap


def largest(gap: Array) -> float:
    if not np.isfinite(gap).all():
        raise NotBounded("the bound is infinite")
    return float(gap.max()) if gap.size else 0.0
