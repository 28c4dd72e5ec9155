"""On which data would vendors have fitted the second family of models? Made here from fixed seeds, unlike `training_data`."""

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.training_data import Data

_TOPICS = {
    "billing": "invoice charged twice refund card payment amount wrong vat",
    "outage": "down offline error 503 timeout cannot reach server since morning",
    "account": "password reset login locked e-mail address change two-factor code",
    "praise": "thanks great quick reply love the new dashboard very happy",
}
_FILLER = "hello please the my our is again today I we and with customer-id 4711 Grüße it's ok".split()


def _plain(rows: int, columns: int, seed: int) -> tuple[Any, Any]:
    """(rows, a smooth score with one interaction)."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns))
    last = X[:, -1]
    return X, X[:, 0] - 0.7 * last + 0.5 * X[:, columns // 2] * last + 0.2 * rng.standard_normal(rows)


def churn() -> Data:
    rng = np.random.default_rng(101)
    tenure = rng.integers(1, 73, 300)
    monthly = np.round(rng.uniform(18, 120, 300), 2)
    contract = rng.choice(["month-to-month", "one year", "two year"], 300, p=[0.6, 0.25, 0.15])
    X = pd.DataFrame({
        "tenure": tenure, "monthly": monthly, "total": np.round(tenure * monthly, 2), "contract": contract,
        "payment": rng.choice(["card", "bank transfer", "e-check"], 300),
    })  # fmt: skip
    risk = (contract == "month-to-month") * 1.5 - tenure / 30 + monthly / 60 + rng.standard_normal(300)
    return Data(X, np.where(risk > 0.6, "yes", "no"))


def churn_number() -> Data:
    X = churn().X[["tenure", "monthly", "total"]]
    return Data(X, (churn().y == "yes").astype(int))


def credit() -> Data:
    """Numbers with gaps, categories with gaps, one default in eight."""
    rng = np.random.default_rng(103)
    X = pd.DataFrame({
        "income": np.exp(rng.normal(10, 0.6, 320)), "debt": np.exp(rng.normal(8, 1.2, 320)),
        "age": rng.integers(18, 80, 320).astype(float), "purpose": rng.choice(["car", "house", "other"], 320),
        "region": rng.choice(["north", "south", "east", "west"], 320, p=[0.5, 0.3, 0.15, 0.05]),
    })  # fmt: skip
    score = X["debt"] / X["income"] - 0.01 * X["age"].to_numpy() + 0.3 * rng.standard_normal(320)
    X.loc[rng.random(320) < 0.15, "income"] = np.nan
    X.loc[rng.random(320) < 0.1, "age"] = np.nan
    return Data(X, (score > score.quantile(0.875)).astype(int))


def credit_text_gaps() -> Data:
    X, y = credit().X, credit().y
    X["purpose"] = X["purpose"].astype(object).where(np.arange(len(X)) % 7 != 0, None)
    return Data(X, y)


def credit_number() -> Data:
    return Data(credit().X[["income", "debt", "age"]].to_numpy(), credit().y)


def drift() -> Data:
    """A sensor at 1e6 that moves by thousandths."""
    X, score = _plain(250, 5, 107)
    return Data(1e6 + 1e-3 * np.cumsum(X, axis=0), score)


def drift_classes() -> Data:
    return Data(drift().X, np.array([-5, -1, 3])[np.digitize(drift().y, [-0.5, 0.5])])


def billions() -> Data:
    X, score = _plain(250, 4, 109)
    return Data(1e9 + 50 * X, (score > 0).astype(int))


def atoms() -> Data:
    X, score = _plain(250, 4, 113)
    return Data(1e-9 * X, score)


def atom_classes() -> Data:
    return Data(atoms().X, np.digitize(atoms().y, [-0.5, 0.5]))


def tickets() -> Data:
    rng = np.random.default_rng(127)
    labels = rng.choice(list(_TOPICS), 260)
    made = []
    for label in labels:
        own, filler = rng.choice(_TOPICS[label].split(), 5), rng.choice(_FILLER, rng.integers(1, 7))
        made.append(" ".join(rng.permutation([*own, *filler]).tolist()))
    return Data(made, labels)


def tickets_with_numbers() -> Data:
    rng = np.random.default_rng(131)
    made = tickets()
    X = pd.DataFrame({"subject": made.X, "age_h": rng.exponential(20, 260), "replies": rng.integers(0, 9, 260)})
    return Data(X, made.y)


def prices() -> Data:
    rng = np.random.default_rng(137)
    area, rooms = rng.uniform(20, 250, 300), rng.integers(1, 8, 300)
    city = rng.choice(["Köln", "Paris", "Oslo", "Kraków"], 300)
    price = 2500 * area * (1 + 0.5 * (city == "Paris")) * np.exp(0.15 * rng.standard_normal(300)) + 9000 * rooms
    return Data(pd.DataFrame({"area": area, "rooms": rooms, "city": city}), price)


def price_numbers() -> Data:
    return Data(prices().X[["area", "rooms"]].to_numpy(float), prices().y)


def one_column_two_a_class() -> Data:
    return Data(np.array([[0.0], [1.0], [4.0], [5.0], [9.0], [11.0]]), np.array([0, 0, 1, 1, 2, 2]))


def one_column() -> Data:
    X, score = _plain(150, 1, 139)
    return Data(np.round(X * 4), np.exp(0.3 * score))


def three_hundred_columns() -> Data:
    X, score = _plain(160, 300, 149)
    return Data(X * np.exp(np.linspace(-6, 6, 300)), (score > 0).astype(int))


def three_hundred_columns_regression() -> Data:
    return Data(three_hundred_columns().X, _plain(160, 300, 149)[1])


def constant_and_twice() -> Data:
    """A constant column, one column twice, one that is the sum of two."""
    X, score = _plain(240, 4, 151)
    return Data(np.column_stack([X, np.full(240, 7.0), X[:, 0], X[:, 1] + X[:, 2]]), np.digitize(score, [-0.6, 0.6]))


def constant_and_twice_regression() -> Data:
    return Data(constant_and_twice().X, 100.0 * _plain(240, 4, 151)[1] - 3.0)


def integer_table() -> Data:
    rng = np.random.default_rng(157)
    X = np.column_stack([rng.integers(0, 6, 260), rng.integers(-3, 4, 260), rng.integers(0, 2, 260), rng.poisson(3, 260)])
    return Data(X, (X[:, 0] + X[:, 1] * X[:, 2] + rng.integers(-1, 2, 260) > 3).astype(int))


def cauchy() -> Data:
    rng = np.random.default_rng(163)
    X = rng.standard_cauchy((300, 4))
    return Data(X, np.digitize(np.arctan(X[:, 0]) + 0.4 * np.tanh(X[:, 1]), [-0.5, 0.5]))


def cauchy_regression() -> Data:
    X = cauchy().X
    return Data(X, np.arctan(X[:, 0]) + 0.1 * np.sign(X[:, 1]))


def thirty_classes() -> Data:
    rng = np.random.default_rng(167)
    y = np.arange(600) % 30
    return Data(rng.standard_normal((600, 5)) + 3.0 * rng.standard_normal((30, 5))[y], y * 1_000_003 - 7)


def one_in_two_hundred() -> Data:
    X, score = _plain(603, 5, 173)
    y = np.zeros(603, int)
    y[np.argsort(score)[-3:]] = 1
    return Data(X, y)


def true_or_false() -> Data:
    X, score = _plain(220, 4, 179)
    return Data(X * [1, 10, 100, 1000], score > 0.2)


def single_precision() -> Data:
    X, score = _plain(260, 5, 181)
    return Data((X * [1, 30, 0.01, 5, 400]).astype(np.float32), np.digitize(score, [-0.5, 0.5]))


def single_precision_regression() -> Data:
    return Data(single_precision().X, _plain(260, 5, 181)[1].astype(np.float32))


def weighted() -> Data:
    X, score = _plain(240, 4, 191)
    return Data(X, (score > 0).astype(int), np.random.default_rng(1).exponential(1.0, 240))


def weighted_regression() -> Data:
    return Data(weighted().X, 40.0 * _plain(240, 4, 191)[1], weighted().weights)


def several_targets() -> Data:
    X, score = _plain(240, 5, 193)
    return Data(X, np.column_stack([score, np.abs(X[:, 1]) * 1000, np.floor(X[:, 2]), -1e-3 * score]))


def several_labels() -> Data:
    X, score = _plain(240, 5, 197)
    return Data(X, np.column_stack([score > 0.3, X[:, 0] > X[:, 1], X[:, 2] > 1]).astype(int))


def binary_numbers() -> Data:
    X, score = _plain(240, 5, 199)
    return Data(3.0 + 2.0 * X, (score > 0.4).astype(int))


def numbers() -> Data:
    X, score = _plain(260, 5, 211)
    return Data(10.0 + 4.0 * X, 7.0 * score)


def classes() -> Data:
    X, score = _plain(260, 5, 211)
    return Data(10.0 + 4.0 * X, np.digitize(score, [-0.7, 0.1, 0.9]))


def gaps() -> Data:
    X, y = numbers().X, numbers().y
    return Data(np.where(np.random.default_rng(223).random(X.shape) < 0.15, np.nan, X), y)


def gap_classes() -> Data:
    return Data(gaps().X, classes().y)


def category_frame() -> Data:
    """Columns of pandas' own kinds: category, bool, whole numbers."""
    X, y = churn().X, churn().y
    X["contract"], X["payment"] = X["contract"].astype("category"), X["payment"].astype("category")
    X["senior"] = np.random.default_rng(227).random(len(X)) < 0.3
    return Data(X, y)


def nullable_frame() -> Data:
    """Whole numbers, reals and texts that may be pandas' NA."""
    X, y = churn().X, churn().y
    X["tenure"] = X["tenure"].astype("Int64").mask(X.index % 11 == 0)
    X["monthly"], X["contract"] = X["monthly"].astype("Float64"), X["contract"].astype("string")
    return Data(X[["tenure", "monthly", "contract"]], y)


def bool_table() -> Data:
    rng = np.random.default_rng(229)
    X = rng.random((200, 6)) < 0.4
    return Data(X, (X.sum(axis=1) + rng.random(200) > 2.5).astype(int))


def claims() -> Data:
    rng = np.random.default_rng(233)
    X = rng.uniform(0, 1, (300, 3)) * [60, 30, 5]
    return Data(X, rng.poisson(np.exp(0.02 * X[:, 0] - 0.05 * X[:, 1] + 0.2)).astype(float))


def ties() -> Data:
    """Every point of a small grid twice, with labels that disagree."""
    grid = np.array([(a, b) for a in range(5) for b in range(5)], float)
    return Data(np.concatenate([grid, grid]), np.concatenate([(grid.sum(axis=1) > 4), (grid[:, 0] > 1)]).astype(int))
