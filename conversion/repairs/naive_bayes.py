"""The five naive Bayes classifiers in double, with scikit-learn's own rounding of large log-probabilities.

skl2onnx 1.20 takes CategoricalNB in float32 only, and its shares of long texts differ from scikit-learn's in the fourth digit.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB

from conversion.repairs.posterior import best, shares
from conversion.repairs.registration import Scores, register_classifier
from conversion.writer import Writer
from serving.signature import Array

NAME = "naive_bayes"
COVERED: tuple[type, ...] = (BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB)


def register() -> None:
    register_classifier(GaussianNB, _by(_gaussian))
    register_classifier(MultinomialNB, _by(_counted))
    register_classifier(ComplementNB, _by(_complement))
    register_classifier(BernoulliNB, _by(_present), jumps=True)
    register_classifier(CategoricalNB, _by(_categories), jumps=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _by(likelihood: Any) -> Scores:
    def formula(write: Writer, model: Any, rows: str) -> tuple[str, str]:
        scores = likelihood(write, model, rows)
        return best(write, scores), shares(write, scores)

    return formula


def _gaussian(write: Writer, model: Any, rows: str) -> str:
    """GaussianNB._joint_log_likelihood: numpy keeps what was fitted in float32 in float32, and so do the constants here."""
    with np.errstate(divide="ignore"):
        spread = np.array([-0.5 * np.sum(np.log(2.0 * np.pi * own)) for own in model.var_])
        prior = np.array([np.log(one) for one in model.class_prior_])
    away = write.node("Sub", [_wide(write, rows), write.constant(model.theta_)])
    ratio = write.node("Div", [write.node("Mul", [away, away]), write.constant(model.var_)])
    half = write.node("Mul", [_summed(write, ratio, 2), write.constant(0.5)])
    return write.node("Add", [write.node("Sub", [write.constant(spread), half]), write.constant(prior)])


def _counted(write: Writer, model: Any, rows: str) -> str:
    """MultinomialNB._joint_log_likelihood"""
    return _product(write, rows, model.feature_log_prob_, model.class_log_prior_)


def _complement(write: Writer, model: Any, rows: str) -> str:
    """ComplementNB._joint_log_likelihood: the prior counts only where there is one class."""
    prior = model.class_log_prior_ if len(model.classes_) == 1 else np.zeros(len(model.classes_))
    return _product(write, rows, model.feature_log_prob_, prior)


def _present(write: Writer, model: Any, rows: str) -> str:
    """BernoulliNB._check_X and ._joint_log_likelihood"""
    if model.binarize is not None:
        above = write.node("Greater", [rows, write.constant(float(model.binarize))])
        rows = write.node("Cast", [above], to=TensorProto.DOUBLE)
    with np.errstate(divide="ignore", invalid="ignore"):
        absent = np.log(1 - np.exp(model.feature_log_prob_))
        weights, added = model.feature_log_prob_ - absent, model.class_log_prior_ + absent.sum(axis=1)
    return _product(write, rows, weights, added)


def _categories(write: Writer, model: Any, rows: str) -> str:
    """CategoricalNB._joint_log_likelihood; where scikit-learn raises, below zero or beyond what it saw, it is NaN."""
    tables = [np.asarray(table).T for table in model.feature_log_prob_]
    counts = np.array([len(table) for table in tables])
    low, high = (write.node(kind, [rows, write.constant(edge)]) for kind, edge in (("Greater", -1.0), ("Less", counts)))
    known = write.node("And", [low, high])
    whole = write.node("Cast", [write.node("Where", [known, rows, write.constant(0.0)])], to=TensorProto.INT64)
    place = write.node("Add", [whole, write.constant(np.cumsum(counts) - counts, TensorProto.INT64)])
    found = write.node("Gather", [write.constant(np.concatenate(tables)), place], axis=0)
    last = write.constant([2], TensorProto.INT64)
    kept = write.node("Where", [write.node("Unsqueeze", [known, last]), found, write.constant(np.nan)])
    return write.node("Add", [_summed(write, kept, 1), write.constant(model.class_log_prior_)])


def _product(write: Writer, rows: str, weights: Array, added: Array) -> str:
    return write.node("Add", [write.node("MatMul", [rows, write.constant(weights.T)]), write.constant(added)])


def _wide(write: Writer, rows: str) -> str:
    return write.node("Unsqueeze", [rows, write.constant([1], TensorProto.INT64)])


def _summed(write: Writer, values: str, axis: int) -> str:
    return write.node("ReduceSum", [values, write.constant([axis], TensorProto.INT64)], keepdims=0)
