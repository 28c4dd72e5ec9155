"""Do the members of a stack answer alike before the final estimator decides?

A final tree turns a member's last digits into another answer, and only on rows that nobody tried; so what the members answer
is compared too, on every row.
"""

from sklearn.ensemble import StackingClassifier, StackingRegressor

from conversion.candidates import Candidate
from conversion.parity import Graph, asked, examine
from conversion.question import Question
from conversion.reference import Reference
from conversion.steps import steps_of
from conversion.translate import set_shapes, translate
from serving.runtime import open_session
from serving.verification import Tolerance

_METHOD = "transform"


def disagreement(question: Question, candidate: Candidate) -> str:
    """The first row at which they do not; empty when there is none, or the object is no stack.

    Raises whatever skl2onnx and onnxruntime raise.
    """
    if not isinstance(steps_of(question.estimator)[-1], StackingClassifier | StackingRegressor):
        return ""
    ask = Reference(question.estimator, question.schema, [_METHOD])
    sets = [one for one in (asked(ask, one.rows, question.tie) for one in question.sets) if one.rows.size]
    model = translate(question.estimator, question.schema, [_METHOD], candidate).graph
    set_shapes(model, {_METHOD: sets[0].answers[_METHOD].shape[1:]})
    graph = Graph(open_session(model.SerializeToString()), question.schema, candidate)
    findings = examine(graph, sets, {_METHOD: Tolerance(question.tie, question.tie)})
    failed = [finding for finding in findings if not finding.gap.passed]
    return f"its members answer otherwise: {failed[0]}" if failed else ""
