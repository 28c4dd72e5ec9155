"""Does a new release come to answer step by step, and is a bad one gone before a user hears of it?"""

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.batching import Pace
from serving.errors import ModelRefused, Refusal
from serving.inference import Inference, Served
from serving.metrics import Metrics
from serving.release import Opened
from serving.rollout import LIMITS, Plan, Rollout, Stage, difference, watch
from tests.serving import graphs

X = np.array([[1, 2, 3]], np.float32)
QUICK = Plan(shadow_rows=3, canary_requests=2, shadow_s=60, canary_s=60)


@pytest.fixture
def inference() -> Inference:
    made = Inference("test", Metrics(), 100, max_waiting=100)
    made.load(Opened(graphs.linear(), "old"))
    return made


def candidate(inference: Inference, content: bytes) -> Served:
    return inference.prepare(Opened(content, "new"))


def rollout(inference: Inference, served: Served, plan: Plan = QUICK) -> Rollout:
    assert inference.served is not None
    made = inference.rollout = Rollout(inference.served, served, plan, ThreadPoolExecutor(1))
    made.begin()
    return made


def ask(inference: Inference) -> str:
    """As a request does; whose version answered."""
    served = inference.find("test", None)
    served.batcher._answer({"X": X}, 1)
    return served.model.version


def settled(made: Rollout) -> None:
    limit = time.monotonic() + 10
    while made._comparing:
        assert time.monotonic() < limit
        time.sleep(0.001)


def test_nobody_hears_the_new_one_until_it_was_compared_and_then_a_few(inference: Inference) -> None:
    new = candidate(inference, graphs.linear(scale=1.5))
    made = rollout(inference, new, Plan(shadow_rows=3, canary_percent=25, canary_requests=5, shadow_s=60, canary_s=60))
    old = inference.served.model.version  # type: ignore[union-attr]
    for _ in range(3):
        assert ask(inference) == old
        settled(made)
    assert made.look() == Stage.CANARY
    assert made.difference == pytest.approx(70.0)
    heard = [ask(inference) for _ in range(20)]
    assert heard.count(new.model.version) == 5
    assert heard[3::4] == [new.model.version] * 5
    assert made.look() == Stage.SPREADING


def test_who_names_a_version_is_no_canary(inference: Inference) -> None:
    made = rollout(inference, candidate(inference, graphs.linear(scale=1.5)), Plan(shadow_s=0, canary_percent=100))
    assert made.look() == Stage.CANARY
    assert inference.find("test", None) is made.candidate
    assert inference.find("test", made.active.model.version) is made.active


def test_without_traffic_time_passes_instead(inference: Inference) -> None:
    made = rollout(inference, candidate(inference, graphs.linear(scale=1.5)), Plan(shadow_s=0.05, canary_s=0.05))
    assert asyncio.run(watch(made)) == Stage.SPREADING


def test_no_canary_when_none_is_wanted(inference: Inference) -> None:
    made = rollout(inference, candidate(inference, graphs.linear(scale=1.5)), Plan(shadow_s=0, canary_percent=0))
    assert made.look() == Stage.SPREADING


def test_one_that_fails_where_the_old_one_answers_is_rolled_back_unheard(inference: Inference) -> None:
    new = candidate(inference, graphs.linear(scale=1.5))
    made = rollout(inference, new)

    def fails(*_: Any) -> Any:
        raise ValueError("NaN in output 'predict'")

    new.model.__dict__["_runner"] = fails
    ask(inference)
    settled(made)
    assert made.look() == Stage.ROLLED_BACK
    assert "fails on rows that the active release answers: ValueError: NaN" in made.reason
    assert ask(inference) != new.model.version


def test_one_that_differs_more_than_was_allowed_is_rolled_back(inference: Inference) -> None:
    made = rollout(inference, candidate(inference, graphs.linear(scale=1.5)), Plan(max_difference=1.0))
    ask(inference)
    settled(made)
    assert made.look() == Stage.ROLLED_BACK
    assert made.reason == "an answer differs by 70, at most 1 is accepted"


def test_one_that_is_slower_is_refused_before_it_is_asked(inference: Inference) -> None:
    new = candidate(inference, graphs.linear(scale=1.5))
    new.batcher.keep(Pace(1.0, 0.0))
    with pytest.raises(ModelRefused, match="one row takes it 1000000 µs"):
        rollout(inference, new)


def test_one_that_turns_slow_is_rolled_back_unheard(inference: Inference) -> None:
    new = candidate(inference, graphs.linear(scale=1.5))
    made = rollout(inference, new, Plan(shadow_rows=1000, shadow_s=60))
    run = new.model._runner

    def slow(*given: Any) -> Any:
        until = time.thread_time() + 0.002
        while time.thread_time() < until:
            pass
        return run(*given)

    new.model.__dict__["_runner"] = slow
    while made.stage == Stage.SHADOW:
        assert ask(inference) != new.model.version
        settled(made)
    assert "times as long" in made.reason


def test_a_release_that_waits_is_no_excuse_for_a_slow_one(inference: Inference) -> None:
    new = candidate(inference, graphs.linear(scale=1.5))
    made = rollout(inference, new, Plan(shadow_rows=30, shadow_s=60))
    old = inference.served.model  # type: ignore[union-attr]

    def pausing(*given: Any, run: Any = old._runner) -> Any:
        time.sleep(0.01)
        return run(*given)

    def slow(*given: Any, run: Any = new.model._runner) -> Any:
        until = time.thread_time() + 0.005
        while time.thread_time() < until:
            pass
        return run(*given)

    old.__dict__["_runner"], new.model.__dict__["_runner"] = pausing, slow
    for _ in range(25):
        ask(inference)
        settled(made)
    assert "times as long" in made.reason


def test_one_that_waits_for_the_others_thread_is_not_called_slow(inference: Inference) -> None:
    """As under load: a thread that wants to go on after a run waits milliseconds until the loop's lets it."""
    new = candidate(inference, graphs.linear(scale=1.5))
    made = rollout(inference, new, Plan(shadow_rows=30, shadow_s=60))
    run = new.model._runner

    def waiting(*given: Any) -> Any:
        if made.rows in (5, 15):
            time.sleep(0.03)
        return run(*given)

    new.model.__dict__["_runner"] = waiting
    for _ in range(30):
        ask(inference)
        settled(made)
    assert made.look() == Stage.CANARY, made.reason


@pytest.mark.parametrize("content", [graphs.linear("FP64"), graphs.echo("FP32")])
def test_other_inputs_or_outputs_are_refused(inference: Inference, content: bytes) -> None:
    with pytest.raises(ModelRefused, match="clients would break"):
        rollout(inference, candidate(inference, content))


def test_a_failure_at_a_users_request_ends_the_canary(inference: Inference) -> None:
    new = candidate(inference, graphs.linear(scale=1.5))
    made = rollout(inference, new, Plan(shadow_s=0, canary_percent=100))
    made.look()
    assert inference.find("test", None) is new
    made._fail(Refusal("bad rows are the user's"))
    assert made.look() == Stage.CANARY
    made._fail(RuntimeError("the graph"))
    assert made.look() == Stage.ROLLED_BACK
    assert inference.find("test", None) is not new


def test_after_its_end_nobody_looks_on(inference: Inference) -> None:
    made = rollout(inference, candidate(inference, graphs.linear(scale=1.5)))
    made.end()
    looking = [one for served in (made.active, made.candidate) for one in (served.batcher.witness, served.batcher.mourner)]
    assert looking == [None] * 4


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([1.0, math.nan, math.inf], [1.5, math.nan, math.inf], 0.5), ([1.0], [math.nan], math.inf),
        ([math.inf], [1.0], math.inf),
        ([], [], 0.0), ([[1.0]], [1.0], math.inf), ([1, 2], [1, 4], 2.0), (["a"], ["b"], math.inf), (["a"], ["a"], 0.0),
    ],
)  # fmt: skip
def test_how_far_two_answers_are_apart(old: Any, new: Any, expected: float) -> None:
    kind = object if old and isinstance(old[0], str) else None
    assert difference(np.array(old, kind), np.array(new, kind)) == expected


@pytest.mark.parametrize(
    "given",
    [{"nothing": 1}, {"shadow_rows": -1}, {"shadow_rows": 1.5}, {"canary_percent": 101}, {"slower": True}, {"slower": "2"},
     {"shadow_s": math.nan}],
)  # fmt: skip
def test_a_plan_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match=next(iter(given))):
        Plan.from_parameters(given)


def test_every_parameter_has_its_limits_and_is_documented() -> None:
    documented = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
    assert [name for name in LIMITS if f"`{name}`" not in documented] == []
    assert set(LIMITS) == set(Plan.__dataclass_fields__)
    assert Plan.from_parameters({"shadow_rows": 7, "slower": 2}) == Plan(shadow_rows=7, slower=2)
