"""CountVectorizer, TfidfVectorizer and TfidfTransformer, with exact counts, and weights and norms in double.

skl2onnx 1.20 takes [a-zA-Z0-9_]+ for a word, asks for a locale that minimal images lack (sklearn-onnx issue 1019), weighs in
float32, writes log(1 + n) for the sublinear 1 + log(n), and divides rows without a word by zero.
"""

from typing import Any

from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

from conversion.repairs.characters import character_counts
from conversion.repairs.lookup import parse
from conversion.repairs.registration import register_numbers
from conversion.repairs.tokens import DOT, words_of_pattern
from conversion.repairs.words import word_counts
from conversion.writer import Writer

NAME = "vectorizers"
COVERED: tuple[type, ...] = (CountVectorizer, TfidfVectorizer, TfidfTransformer)


def register() -> None:
    for kind in (CountVectorizer, TfidfVectorizer):
        update_registered_converter(kind, f"Unjar{kind.__name__}", _shape, _convert, parser=parse)
    register_numbers(TfidfTransformer, lambda model: int(model.n_features_in_), weighed)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _width(model: Any) -> int:
    return max(int(column) for column in model.vocabulary_.values()) + 1


def _shape(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, _width(operator.raw_operator)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, write = operator.raw_operator, Writer(scope, container)
    _check(model)
    model._check_vocabulary()
    texts = write.node("Reshape", [operator.inputs[0].full_name, write.constant([-1], TensorProto.INT64)])
    count = character_counts if _by_character(model) else word_counts
    counts = count(write, model, texts, _width(model))
    if model.binary:
        counts = write.node("Min", [counts, write.constant([1.0])])
    if isinstance(model, TfidfVectorizer):
        counts = weighed(write, model._tfidf, counts)
    write.node("Identity", [counts], operator.outputs[0].full_name)


def _by_character(model: Any) -> bool:
    if model.analyzer != "word" or model.strip_accents is not None:
        return True
    return bool(model.lowercase and DOT in words_of_pattern(model.token_pattern).kept)


def _check(model: Any) -> None:
    """Raises ValueError for what no graph can hold."""
    for name in ("tokenizer", "preprocessor"):
        if getattr(model, name) is not None:
            raise ValueError(f"{name} is a function of your own; apply it to the texts before the model")
    if callable(model.analyzer) or callable(model.strip_accents):
        raise ValueError("analyzer and strip_accents may be named, but no functions of your own")
    if model.input != "content":
        raise ValueError(f"input={model.input!r} reads files; fit the vectorizer on texts, with input='content'")


def weighed(write: Writer, model: TfidfTransformer, counts: str) -> str:
    """sklearn.feature_extraction.text.TfidfTransformer.transform, where what is zero stays zero."""
    zero, one = write.constant([0.0]), write.constant([1.0])
    if model.sublinear_tf:
        none = write.node("Equal", [counts, zero])
        logs = write.node("Add", [write.node("Log", [write.node("Where", [none, one, counts])]), one])
        counts = write.node("Where", [none, zero, logs])
    if model.use_idf:
        counts = write.node("Mul", [counts, write.constant(model.idf_)])
    if model.norm is None:
        return counts
    along = write.constant([1], TensorProto.INT64)
    if model.norm == "l1":
        size = write.node("ReduceSum", [write.node("Abs", [counts]), along], keepdims=1)
    else:
        size = write.node("Sqrt", [write.node("ReduceSum", [write.node("Mul", [counts, counts]), along], keepdims=1)])
    return write.node("Div", [counts, write.node("Where", [write.node("Equal", [size, zero]), one, size])])
