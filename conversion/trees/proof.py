"""Does the written graph decide as the fitted trees for every possible input?

The graph's own bytes are read back from its outputs to its inputs, beside what scikit-learn computes: the same labels of the
same comparisons of the same sums, every split and leaf of every tree to the last bit, and rows that reach the trees bit for bit
as scikit-learn's steps before them give them. What is left is the order in which leaves are added, and that is bounded.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from conversion.errors import NotCovered
from conversion.steps import steps_of
from conversion.trees import attributes, forests
from conversion.trees.answers import answer
from conversion.trees.columns import Column, Columns, NotAlike, cast
from conversion.trees.elementwise import told as told_of
from conversion.trees.terms import Term, Terms, rounding, within
from serving.signature import Array

# Operators whose results differ in the last digits between libraries.
_LIBRARY = ("Exp", "Pow", "Sigmoid", "Softmax")


class NotProved(Exception):
    """The first place where the graph and the fitted trees differ, or could."""


@dataclass(frozen=True)
class Proof:
    """Every split and leaf agrees, and so does every operator before and after them.

    A runtime that adds in the order of the trees, as one thread does, gets the very sums that scikit-learn gets in one job; in
    any other order they differ by at most `rounding`. Operators in `after` are a library's own: they err by some units in the
    last place. Labels are decided before them, but an isolation forest's, which compares its score with zero.
    """

    trees: int
    splits: int
    rounding: float
    after: str = ""


def prove(graph: onnx.ModelProto, estimator: Any) -> Proof:
    """Raises NotProved where something but trees takes part, or anything differs."""
    *before, last = steps_of(estimator)
    write = Terms()
    try:
        given = answer(write, last, write.rows)
    except NotCovered as reason:
        raise NotProved(str(reason)) from reason
    wanted = _outputs(write, last, given)
    try:
        reader = Columns(graph)
        rows = [cast(one, TensorProto.DOUBLE) for one in reader.inputs_of(_names(estimator))]
        for step in before:
            rows = told_of(step, rows)
        matching = _Matching(reader, rows, write.rows)
        for output in graph.graph.output:
            matching.output(wanted[output.name], output.name, _is_single(last, output.name))
    except (NotAlike, attributes.Differs) as reason:
        raise NotProved(str(reason)) from reason
    terms = list(within(*wanted.values()))
    trees = [tree for one in terms if one.kind == "trees" for tree in one.value.trees]
    library = sorted({one.kind for one in terms if one.kind in _LIBRARY})
    figure = max(rounding(one) for one in wanted.values())
    return Proof(len(trees), sum(int((tree.left >= 0).sum()) for tree in trees), figure, ", ".join(library))


def _names(estimator: Any) -> list[str]:
    return [str(name) for name in getattr(steps_of(estimator)[0], "feature_names_in_", [])]


def _outputs(write: Terms, model: Any, given: Any) -> dict[str, Term]:
    """What each of the graph's outputs has to be."""
    results: list[Any] = forests.results(write, model, given, scored=False)
    if hasattr(model, "transform") and len(results) == 1 and not hasattr(model, "predict"):
        return {"transform": results[0]}
    named = {"predict": results[0]}
    if len(results) == 2:
        named["predict_proba"] = named_scores = results[1]
        named["decision_function"] = named_scores if given.scores is None else given.scores
    return named


def _is_single(model: Any, method: str) -> bool:
    if method == "decision_function" and hasattr(model, "classes_"):
        return len(model.classes_) == 2
    return method in ("predict", "decision_function") and forests.width_of(model) == 1


class _Matching:
    """Walks the expected expression and the graph together; every pair of them once."""

    def __init__(self, reader: Columns, rows: list[Column], place: Term) -> None:
        self.reader, self.rows, self.place = reader, rows, place
        self.seen: set[tuple[int, str]] = set()

    def output(self, term: Term, name: str, single: bool) -> None:
        """Where scikit-learn answers (n,), the one column of (n, 1) may be taken."""
        node, _ = self._made(name)
        if single and node.op_type == "Gather" and self._last(node):
            name = node.input[0]
        self.match(term, name)

    def _last(self, node: Any) -> bool:
        place = self.reader.constant(node.input[1])
        settings = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        return place is not None and place.shape == () and place == -1 and settings == {"axis": 1}

    def match(self, term: Term, name: str) -> None:
        waiting = [(term, name)]
        while waiting:
            one, written = waiting.pop()
            written = self._behind(written)
            if (id(one), written) not in self.seen:
                self.seen.add((id(one), written))
                waiting += self._matched(one, written)

    def _matched(self, term: Term, name: str) -> list[tuple[Term, str]]:
        """What has to match next."""
        if term.kind in ("rows", "columns", "steps"):
            self._same(self._columns(term), self.reader(name), term.kind)
            return []
        if term.kind == "constant":
            self._match_constant(term.value, name)
            return []
        node, output = self._made(name)
        if output != term.output:
            raise NotProved(f"another result of a {node.op_type} is used than was expected")
        if term.kind == "trees":
            self._match_trees(term, node)
            return []
        wanted = {key: helper.make_attribute(key, value).SerializeToString() for key, value in term.given.items()}
        found = {one.name: one.SerializeToString() for one in node.attribute}
        if (term.kind, "", len(term.inputs)) != (node.op_type, node.domain, len(node.input)) or wanted != found:
            raise NotProved(f"the graph has a {node.op_type} where a {term.kind} was expected, or with other settings")
        return list(zip(term.inputs, node.input, strict=True))

    def _match_constant(self, wanted: Array, name: str) -> None:
        found = self.reader.constant(name)
        if found is None or found.shape != wanted.shape or not _equal(found, wanted):
            raise NotProved(f"the graph has {found} where the constant {wanted} was expected")

    def _match_trees(self, term: Term, node: Any) -> None:
        if (node.op_type, node.domain, len(node.input)) != ("TreeEnsemble", forests.DOMAIN, 1):
            raise NotProved(f"the graph has a {node.op_type} where trees were expected")
        attributes.check(node, term.value)
        wanted = self._columns(term.inputs[0])
        if term.value.real == "float32":
            wanted = [cast(one, TensorProto.FLOAT) for one in wanted]
        self._same([cast(one, TensorProto.DOUBLE) for one in wanted], self.reader(node.input[0]), "row")

    def _columns(self, term: Term) -> list[Column]:
        """The columns of an expected table."""
        if term is self.place:
            return self.rows
        if term.kind == "columns":
            rows = self._columns(term.inputs[0])
            return [cast(rows[k], TensorProto.DOUBLE) for k in term.value]
        if term.kind == "steps":
            rows = [cast(one, TensorProto.DOUBLE) for one in self._columns(term.inputs[0])]
            for step in term.value:
                rows = told_of(step, rows)
            return rows
        if term.kind == "Concat":
            return [one for part in term.inputs for one in self._columns(part)]
        if term.kind == "Cast":
            return [cast(one, term.given["to"]) for one in self._columns(term.inputs[0])]
        if term.kind == "trees":
            return [Column("trees", (term, k)) for k in range(term.value.targets)]
        raise NotProved(f"the trees are fed with the result of a {term.kind}")

    def _same(self, wanted: list[Column], found: list[Column], what: str) -> None:
        if len(wanted) != len(found):
            raise NotProved(f"a {what} has {len(found)} columns in the graph, expected {len(wanted)}")
        for k, (one, other) in enumerate(zip(wanted, found, strict=True)):
            if one.kind == other.kind == "trees" and (one.of[1], one.real) == (other.of[1], other.real):
                self.match(one.of[0], other.of[0])
            elif one != other:
                raise NotProved(f"column {k} reaches the trees as {_shown(other)}, expected {_shown(one)}")

    def _behind(self, name: str) -> str:
        while name in self.reader.made:
            node, _ = self.reader.made[name]
            if (node.op_type, node.domain, len(node.input)) != ("Identity", "", 1):
                break
            name = node.input[0]
        return name

    def _made(self, name: str) -> tuple[Any, int]:
        name = self._behind(name)
        if name not in self.reader.made:
            raise NotProved(f"{name!r} is computed by no operator")
        return self.reader.made[name]


def _equal(found: Array, wanted: Array) -> bool:
    if wanted.dtype == object:
        return [str(one) for one in found.ravel()] == [str(one) for one in wanted.ravel()]
    return found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes()


def _shown(column: Any) -> str:
    if isinstance(column, bytes):
        return repr(np.frombuffer(column, np.float64 if len(column) == 8 else np.float32)[0])
    if not isinstance(column, Column):
        return str(column)
    kind = "float32" if column.real == TensorProto.FLOAT else ""
    return f"{column.kind}{kind and ' in ' + kind}({', '.join(_shown(one) for one in column.of)})"
