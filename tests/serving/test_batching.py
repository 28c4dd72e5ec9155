"""Do requests that share a run get their own answers, and does one that fails, is late or has left harm no other?"""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from serving.batching import ALONE_S, BATCH_S, INLINE_S, Batcher, Outcome, Pace, same_alone
from serving.errors import DeadlineExceeded, InvalidInput, ModelFailed, Overloaded, Refusal
from serving.metrics import Metrics
from serving.protocol import Decoder, Encoder
from serving.signature import Array
from serving.telemetry.ledger import Ledger
from tests.serving import graphs

FAST, SLOW = Pace(1e-6, 1e-9), Pace(1.0, 1.0)
Runs = list[tuple[str, int]]


@dataclass
class Asked:
    """A job that keeps its outcome."""

    feeds: dict[str, Array]
    form: Any = None
    text: bytes | None = None
    deadline: float = math.inf
    done: bool = False
    at_once: bool = False
    since: float = field(default_factory=time.perf_counter)
    outcome: Outcome | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def rows(self) -> int:
        return len(self.feeds["X"]) if self.text is None else self.form.rows

    def settle(self, outcome: Outcome) -> None:
        assert self.outcome is None, "settled twice"
        self.outcome = outcome
        self.settled.set()


def asked(*rows: Any, **more: Any) -> Asked:
    return Asked({"X": np.array(rows, np.float32).reshape(-1, 3)}, **more)


def batcher(content: bytes, pace: Pace, *, mixes: bool = True, max_waiting: int = 100) -> tuple[Batcher, Runs]:
    """A batcher, and which thread ran how many rows."""
    runs: Runs = []
    model = graphs.load(content)
    read, worker = Decoder(model.signature, 100).finish, ThreadPoolExecutor(1, "model")
    encoder = Encoder(model.signature, "test", "1")

    def write(form: Any, answers: dict[str, Array], size: int) -> list[bytes] | None:
        return None if form is None else encoder.encode_all(form, answers, size)

    made = Batcher(model, read, write, pace, mixes, worker, Metrics(), max_waiting, Ledger(model))
    answer = made._answer

    def watched(feeds: dict[str, Array], rows: int) -> dict[str, Array]:
        runs.append((threading.current_thread().name.partition("_")[0], rows))
        return answer(feeds, rows)

    made._answer = watched  # type: ignore[method-assign]
    return made, runs


def settle(made: Batcher, jobs: list[Asked], then: Callable[[], None] = lambda: None) -> None:
    async def ask() -> None:
        for job in jobs:
            made.put(job, alone=False)
        then()
        async with asyncio.timeout(20):
            for job in jobs:
                if not job.done:
                    await job.settled.wait()

    asyncio.run(ask())


def first(job: Asked) -> list[float]:
    assert isinstance(job.outcome, dict)
    return [float(row[0]) for row in job.outcome["predict"]]


@pytest.mark.parametrize("pace", [FAST, SLOW])
def test_what_came_in_one_turn_shares_a_run_and_each_gets_its_own_rows(pace: Pace) -> None:
    made, runs = batcher(graphs.linear(), pace)
    jobs = [asked([i, 0, 0], [0, i, 0]) for i in range(1, 5)]
    settle(made, jobs)
    assert [first(job) for job in jobs] == [[i, 2 * i] for i in range(1, 5)]
    # The worker began with the first; what came meanwhile was its next batch.
    assert runs == ([("MainThread", 8)] if pace is FAST else [("model", 2), ("model", 2), ("model", 2), ("model", 2)])


def unread(*lists: str) -> list[Asked]:
    """Questions of one row each, whose numbers nobody has read yet."""
    decoder = Decoder(graphs.load(graphs.linear()).signature, 100)
    bodies = [b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,3],"data":%b}]}' % text.encode() for text in lists]
    for _ in range(2):
        decoder.decode(bodies[0], None)
    return [Asked(feeds, form, text) for form, feeds, text in [decoder.begin(body, None) for body in bodies]]


def test_lists_left_unread_are_read_together_and_each_gets_its_own_rows() -> None:
    made, runs = batcher(graphs.linear(), FAST)
    jobs = [*unread("[1,0,0]", "[2.0,0,-0]", " [ 3e0 ,0, 0 ]".strip()), asked([4, 0, 0], [5, 0, 0])]
    assert [job.text for job in jobs] == [b"[1,0,0]", b"[2.0,0,-0]", b"[ 3e0 ,0, 0 ]", None]
    settle(made, jobs[:3])
    assert runs == [("MainThread", 3)], "-0 takes the strict reader, and no run of its own"
    settle(made, again := unread("[1,0,0]", "[2.0,0,0]", "[3,0,0]"))
    assert runs[1:] == [("MainThread", 3)]
    settle(made, mixed := [*unread("[6,0,0]"), *jobs[3:]])
    assert runs[2:] == [("MainThread", 3)]
    assert [first(job) for job in jobs[:3]] == [first(job) for job in again] == [[1], [2], [3]]
    assert [first(job) for job in mixed] == [[6], [4, 5]]


@pytest.mark.parametrize("pace", [FAST, Pace(1e-3, 1e-9)])
def test_answers_written_as_one_text_are_each_the_bytes_of_its_own(pace: Pace) -> None:
    made, _ = batcher(graphs.linear(), pace)
    jobs = unread("[1,0,0]", "[2.5,0,-0]", "[0,1e-3,7]", "[3,2,1]")
    encoder = Encoder(made.model.signature, "test", "1")
    alone = [encoder.encode(job.form, made.model.run(made._feeds([job]))).body for job in jobs]
    settle(made, jobs)
    # The worker began with the first, which had no company.
    shared = jobs if pace is FAST else jobs[1:]
    assert [job.outcome for job in shared] == alone[-len(shared) :]
    assert len(set(alone)) == 4


def test_lists_that_take_the_strict_reader_share_a_run_all_the_same() -> None:
    made, runs = batcher(graphs.echo("INT64"), FAST)
    decoder = Decoder(made.model.signature, 100)
    bodies = [b'{"inputs":[{"name":"X","datatype":"INT64","shape":[1,2],"data":[%d.0,7]}]}' % i for i in range(4)]
    decoder.decode(bodies[0].replace(b".0", b""), None)
    decoder.decode(bodies[0].replace(b".0", b""), None)
    questions = [decoder.begin(body, None) for body in bodies]
    assert questions[-1][2] == b"[3.0,7]"
    jobs = [Asked(feeds, form, text) for form, feeds, text in questions]
    settle(made, jobs)
    assert runs == [("MainThread", 4)]
    assert [next(iter(job.outcome.values())).tolist() for job in jobs if isinstance(job.outcome, dict)] == [
        [[i, 7]] for i in range(4)
    ]


@pytest.mark.parametrize(
    "bad", ["[1,2]", "[1,2,3,4]", '[1,"2",3]', "[1,null,3]", "[1,2,NaN]", "[1,2,1e400]", "[1,2,3", "[1,2,]", "[]", "[1,[2,3]"]
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_list_that_is_none_is_refused_alone(bad: str, at: int) -> None:
    made, _ = batcher(graphs.linear(), FAST)
    lists = ["[1,0,0]", "[2,0,0]"]
    lists.insert(at, bad)
    decoder, form = Decoder(graphs.load(graphs.linear()).signature, 100), unread("[1,0,0]")[0].form
    jobs = [Asked({}, form, text.encode()) for text in lists]
    settle(made, jobs)
    assert [first(job) for job in jobs if job is not jobs[at]] == [[1], [2]]
    with pytest.raises(Refusal) as alone:
        decoder.decode(form.around[0] + bad.encode() + form.around[1], None)
    outcome = jobs[at].outcome
    assert isinstance(outcome, Refusal)
    assert (outcome.code, str(outcome)) == (alone.value.code, str(alone.value))


def test_long_runs_that_wait_together_run_together() -> None:
    made, runs = batcher(graphs.linear(), Pace(INLINE_S * 1.5, BATCH_S / 1000))
    jobs = [asked([i, 0, 0]) for i in range(5)]
    settle(made, jobs)
    assert [first(job) for job in jobs] == [[i] for i in range(5)]
    assert runs == [("model", 1), ("model", 4)]


def test_a_batch_ends_where_it_would_take_too_long() -> None:
    made, runs = batcher(graphs.linear(), Pace(INLINE_S / 4, INLINE_S / 4))
    settle(made, [asked([1, 2, 3]) for _ in range(10)])
    assert runs == [("MainThread", 4), ("MainThread", 4), ("MainThread", 2)]


def test_nothing_is_mixed_where_company_changes_bits() -> None:
    made, runs = batcher(graphs.linear(), FAST, mixes=False)
    settle(made, [asked([1, 2, 3]) for _ in range(3)])
    assert runs == [("MainThread", 1)] * 3


def test_one_row_the_model_refuses_takes_no_other_with_it() -> None:
    made, runs = batcher(graphs.linear(), FAST)
    jobs = [asked([1, 0, 0]), asked([np.nan, 0, 0]), asked([2, 0, 0])]
    settle(made, jobs)
    assert (first(jobs[0]), first(jobs[2])) == ([1], [2])
    assert isinstance(jobs[1].outcome, InvalidInput)
    assert "row 0, column 0" in str(jobs[1].outcome)
    assert [rows for _, rows in runs] == [3, 1, 1, 1]


def test_a_graph_that_fails_on_one_fails_for_that_one_only() -> None:
    made, _ = batcher(graphs.no_empty_batch(), FAST)
    jobs = [asked([1, 2, 3]), asked([9, 9, 9]), asked([3, 0, 1])]
    settle(made, jobs)
    assert [type(job.outcome) for job in jobs] == [dict, ModelFailed, dict]
    # Rows that failed are not rows answered.
    assert b"unjar_rows_total 2.0" in made.metrics.text()


def test_no_rows_among_others_and_alone() -> None:
    made, _ = batcher(graphs.no_empty_batch(), FAST)
    for jobs in ([asked()], [asked(), asked([1, 2, 3]), asked()], [asked(), asked()]):
        settle(made, jobs)
        assert all(isinstance(job.outcome, dict) and len(job.outcome["predict"]) == job.rows for job in jobs)


def test_what_nobody_waits_for_is_not_run() -> None:
    made, runs = batcher(graphs.linear(), FAST)
    left, late, wanted = asked([1, 0, 0]), asked([2, 0, 0], deadline=0.0), asked([3, 0, 0])

    def leave() -> None:
        left.done = True

    settle(made, [left, late, wanted], leave)
    assert left.outcome is None
    assert isinstance(late.outcome, DeadlineExceeded)
    assert first(wanted) == [3]
    assert runs == [("MainThread", 1)]


def test_the_queue_is_bounded_and_says_when_to_come_back() -> None:
    made, _ = batcher(graphs.linear(), Pace(1.5, 1.5), max_waiting=3)

    async def ask() -> Refusal:
        # The first one runs, three wait.
        for _ in range(4):
            made.put(asked([1, 2, 3]), alone=False)
        with pytest.raises(Overloaded) as refused:
            made.put(asked([1, 2, 3]), alone=False)
        return refused.value

    refusal = asyncio.run(ask())
    assert (refusal.status, refusal.headers) == (503, {"retry-after": "5"})
    assert "3 requests wait" in str(refusal)


@pytest.mark.parametrize(("alone", "thread"), [(True, "MainThread"), (False, "model")])
def test_a_run_of_a_millisecond_leaves_the_loop_only_when_others_are_there(alone: bool, thread: str) -> None:
    made, runs = batcher(graphs.linear(), Pace(ALONE_S / 2, 0.0))
    job = asked([1, 2, 3])

    async def ask() -> None:
        made.put(job, alone)
        await job.settled.wait()

    asyncio.run(ask())
    assert runs == [(thread, 1)]


def test_who_is_alone_on_the_server_waits_for_no_turn() -> None:
    made, runs = batcher(graphs.linear(), FAST)

    async def ask(jobs: list[Asked]) -> list[bool]:
        for job in jobs:
            made.put(job, alone=False)
        return [job.done or job.outcome is not None for job in jobs]

    assert asyncio.run(ask([asked([1, 2, 3], at_once=True), asked([4, 5, 6], at_once=True)])) == [True, True]
    assert runs == [("MainThread", 1)] * 2


def test_who_comes_while_others_wait_for_the_turn_waits_with_them() -> None:
    made, runs = batcher(graphs.linear(), FAST)
    settle(made, [asked([1, 2, 3]), asked([4, 5, 6], at_once=True)])
    assert runs == [("MainThread", 2)]


def test_a_failure_of_the_batch_itself_is_told_to_each(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = batcher(graphs.linear(), FAST)
    monkeypatch.setattr(type(made.model), "run", lambda *_: {"predict": np.zeros((7, 2))})
    jobs = [asked([1, 2, 3]), asked([4, 5, 6])]
    settle(made, jobs)
    assert [type(job.outcome) for job in jobs] == [ModelFailed, ModelFailed]


def test_how_many_rows_fit_a_time() -> None:
    assert [Pace(2.0, 1.0).rows_within(seconds) for seconds in (1.9, 2.0, 3.5)] == [0, 1, 2]
    assert Pace(1.0, 0.0).rows_within(1.0) > 10**6


def test_a_graph_whose_answers_depend_on_company_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = graphs.load(graphs.linear())
    assert same_alone(model, FAST)
    run = type(model).run

    def nudged(self: Any, feeds: dict[str, Array]) -> dict[str, Array]:
        answers = run(self, feeds)
        return answers if len(feeds["X"]) != 17 else {name: np.nextafter(array, np.inf) for name, array in answers.items()}

    monkeypatch.setattr(type(model), "run", nudged)
    assert not same_alone(model, FAST)
