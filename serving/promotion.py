"""How does a release of the repository come to answer, in every process at once, or not at all?

Whichever process is asked leads: it takes the release through its rollout. The others then load it too, and from one moment
on all answer with it. Without a repository nothing can be changed while the server runs.
"""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serving import guard
from serving.errors import CannotStart, Conflict, ModelRefused, Refusal, UnknownModel, shown
from serving.inference import Inference, Served
from serving.logs import event
from serving.release import warn_of_age
from serving.repository import Repository
from serving.rollout import Plan, Rollout, Stage, watch
from serving.self_check import difference

FOLLOW_S = 0.1
# How long the other processes may take to load a release.
SPREAD_S = 60.0
OWN_PARAMETERS = ("release", "allow_downgrade")


class Promotion:
    """All of it happens on the loop's thread but for the loading."""

    def __init__(self, inference: Inference, repository: Repository | None) -> None:
        self.inference = inference
        self.metrics = inference.metrics
        self.repository = repository
        self.last: Rollout | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="rollout")
        self._running: asyncio.Task[None] | None = None

    async def load(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Begins a rollout, once the release was verified and holds on this machine. Raises Refusal."""
        if name != self.inference.name:
            raise UnknownModel(f"model {shown(name)} is not here; this server has {self.inference.name!r}")
        if self.repository is None:
            raise Conflict("this server has no repository to load from; UNJAR_REPOSITORY names one")
        # Triton's clients name no release: the newest.
        number = parameters["release"] if "release" in parameters else max(self.repository.numbers(), default=0)
        downgrade = parameters.get("allow_downgrade", False)
        if type(number) is not int or number < 1 or type(downgrade) is not bool:
            raise Refusal("parameters: 'release' is a whole number from 1, 'allow_downgrade' true or false")
        plan = Plan.from_parameters({key: value for key, value in parameters.items() if key not in OWN_PARAMETERS})
        active = self.inference.served
        if active is None:
            raise Conflict("the server is not ready itself yet; ask again")
        if number == active.number:
            return {"release": number, "stage": "active"}
        if number < active.number and not downgrade:
            raise Conflict(
                f"release {number} is older than {active.number}, which answers; 'allow_downgrade' loads it all the same"
            )
        if not self.metrics.lead(number):
            raise Conflict("another rollout is on its way; wait for it")
        try:
            candidate = await self._prepare(self.repository, number)
            rollout = self.last = Rollout(active, candidate, plan, self._worker)
        except (ModelRefused, CannotStart) as refused:
            self.metrics.lead(0)
            self.metrics.rolled_back()
            event("rollout", level=logging.ERROR, stage="refused", release=number, reason=str(refused))
            raise Conflict(f"release {number} is refused: {refused}") from None
        except BaseException:
            self.metrics.lead(0)
            raise
        self.inference.rollout = rollout
        rollout.begin()
        self._running = asyncio.create_task(self._go_on(rollout))
        return self._told(rollout)

    async def _prepare(self, repository: Repository, number: int) -> Served:
        def work() -> Served:
            with guard.loading():
                return self.inference.prepare(repository.open(number))

        served = await asyncio.get_running_loop().run_in_executor(self._worker, work)
        if (reason := await difference(self.inference.name, served)) is not None:
            raise ModelRefused(reason)
        return served

    async def _go_on(self, rollout: Rollout) -> None:
        number = rollout.candidate.number
        try:
            if await watch(rollout) == Stage.SPREADING and not await self._spread(number, rollout.candidate):
                rollout.roll_back("another process could not load it")
        finally:
            rollout.end()
            self.inference.rollout = None
            if rollout.stage == Stage.SPREADING:
                self.metrics.activate(number)
                self.inference.activate(rollout.candidate)
                rollout.stage = Stage.ACTIVE
                event("rollout", stage="active", release=number, version=rollout.candidate.model.version)
                warn_of_age(rollout.candidate.opened)
            else:
                self.metrics.rolled_back()
            self.metrics.lead(0)

    async def _spread(self, number: int, candidate: Served) -> bool:
        self.metrics.spread(number)
        self.metrics.loaded(number)
        if not self.inference.shared:
            return True
        limit = time.monotonic() + SPREAD_S
        while (agreed := self.metrics.agreed(number)) is None and time.monotonic() < limit:
            await asyncio.sleep(FOLLOW_S)
        return bool(agreed)

    async def follow(self) -> None:
        """What another process leads, this one loads too; and what already answers in the others, should it have come late."""
        tried = 0
        while True:
            await asyncio.sleep(FOLLOW_S)
            self.inference.catch_up()
            number, served = self.metrics.wanted or self.metrics.active, self.inference.served
            if not number or self._running_now() or served is None or self.repository is None:
                continue
            if number in (served.number, tried):
                continue
            tried = number
            try:
                self.inference.spare = await self._prepare(self.repository, number)
                self.metrics.loaded(number)
            except Exception as refused:
                event("rollout", level=logging.ERROR, stage="refused", release=number, reason=str(refused))
                self.metrics.declined(number)
            if number not in (self.metrics.wanted, self.metrics.active):
                # That rollout is over; the same number may be tried again.
                tried = 0

    def _running_now(self) -> bool:
        return self._running is not None and not self._running.done()

    def index(self) -> list[dict[str, Any]]:
        """As Triton's model repository extension has it; `reason` says how far a release is on its way."""
        served = self.inference.served
        numbers = self.repository.numbers() if self.repository is not None else [served.number] if served is not None else []
        found = []
        for number in numbers:
            state, reason = "UNAVAILABLE", "not loaded"
            if served is not None and number == (self.metrics.active or served.number):
                state, reason = "READY", ""
            elif number == self.metrics.coming and not self._running_now():
                state, reason = "LOADING", "another process takes it through its rollout"
            elif self.last is not None and self.last.candidate.number == number:
                told = self._told(self.last)
                state = "UNAVAILABLE" if self.last.stage == Stage.ROLLED_BACK else "LOADING"
                reason = f"{told['stage']}: {told['rows']} rows compared, {told['requests']} runs answered"
                reason += f"; {told['reason']}" if told.get("reason") else ""
            found.append({"name": self.inference.name, "version": str(number), "state": state, "reason": reason})
        return found

    def _told(self, rollout: Rollout) -> dict[str, Any]:
        said = {
            "release": rollout.candidate.number, "stage": rollout.stage.name.lower(), "rows": rollout.rows,
            "requests": rollout.requests, "difference": rollout.difference,
        }  # fmt: skip
        return said | ({"reason": rollout.reason} if rollout.reason else {})

    def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
        self._worker.shutdown(wait=False, cancel_futures=True)
