"""Runs a job of a Swarm: a service whose tasks each take their share, until all have ended; then it is removed.

How far it is, and how it ended, is read from OUT. Swarm starts again whatever fails, and older ones for ever; so a task that
is hopeless ends as if it had gone well and leaves its reason in OUT, and who waits here gives up on one that fails again and
again.
"""

import json
import os
import subprocess
import time
from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

from batch import cluster, driver, manifest, success
from batch.errors import Hopeless, Retryable
from batch.places import Place

REFUSED = ".refused-"
LOOK_S = 1.0
TRIES = 30
STATES = "{{.ID}}\t{{.Name}}\t{{.CurrentState}}"


def run(given: Namespace, say: driver.Say, restart_delay: str = "10s") -> dict[str, Any]:
    """Returns what _SUCCESS.json says. Raises Hopeless with the reasons of those that cannot go on, or Retryable."""
    out = Place.of(given.output)
    Place.of(given.input).inputs()
    source, folder, model = (_absolute(path) for path in (given.input, given.output, given.model))
    told = cluster.arguments(given, source, folder, model)
    service = cluster.name(given, told)
    if _docker("service", "ls", "--quiet", "--filter", f"name={service}"):
        say(f"batch: service {service} is there already")
    else:
        _remove(service)
        _reasons(out)
        try:
            _begin(given, service, told, (source, folder, model), restart_delay)
        except Retryable:
            _remove(service)
            raise
        say(f"batch: service {service}: {given.shards} slots of {given.image}")
    try:
        failed = _wait(service, given.shards, out, say)
    except KeyboardInterrupt:
        again = f"the same command waits again, docker service rm {service} ends it"
        raise Retryable(f"service {service} goes on without being waited for; {again}") from None
    reasons = _reasons(out)
    _remove(service)
    if reasons:
        raise Hopeless("\nbatch: ".join(reasons))
    if failed:
        raise Retryable(failed)
    return _done(out)


def refused(out: Place, slot: str, reason: str) -> None:
    """Leaves the reason of a hopeless task for who waits."""
    name = f"{REFUSED}{slot}"
    out.write(name, reason.encode(), out.seen(name))


def _reasons(out: Place) -> list[str]:
    """Those that were left, which are gone then."""
    names = [name for name in out.names() if name.startswith(REFUSED)]
    found = [(out.read(name) or b"").decode() for name in names]
    for name in names:
        out.remove(name)
    return list(dict.fromkeys(found))


def _begin(given: Namespace, service: str, told: list[str], paths: tuple[str, str, str], restart_delay: str) -> None:
    user = f"{os.getuid()}:{os.getgid()}" if os.getuid() else f"{cluster.USER}:{cluster.USER}"
    source, folder, model = (path if path.startswith("/") else "" for path in paths)
    if folder and not Path(folder).exists():
        Path(folder).mkdir(parents=True)
        os.chown(folder, *map(int, user.split(":")))
    mounts = ["type=tmpfs,target=/tmp,tmpfs-mode=1777"]
    mounts += [f"type=bind,source={path},target={path},readonly" for path in (source, model) if path]
    mounts += [f"type=bind,source={folder},target={folder}"] if folder else []
    environment = [f"{cluster.SHARDS}={given.shards}", f"{cluster.SLOT}={{{{.Task.Slot}}}}", f"{cluster.NODE}={{{{.Node.ID}}}}"]
    memory = f"{cluster.memory_mib(given)}M"
    network = given.network
    if network is None and source and folder:
        network = service
        _docker("network", "create", "--driver", "overlay", "--internal", network)
    _docker(
        "service", "create", "--quiet", "--detach", "--name", service,
        # Nobody asks them for anything, and the load balancer is one more thing that can fail to start.
        "--mode", "replicated-job", "--replicas", str(given.shards), "--endpoint-mode", "dnsrr",
        "--restart-condition", "on-failure", "--restart-delay", restart_delay, "--no-resolve-image", "--with-registry-auth",
        "--read-only", "--cap-drop", "ALL", "--user", user, "--limit-pids", "256",
        # Reserved is nothing: Docker 20.10 counts what ended tasks had reserved, and starts them again when a node has no more.
        "--max-concurrent", str(_at_once(given)), "--limit-memory", memory,
        *[word for mount in mounts for word in ("--mount", mount)],
        *[word for pair in environment for word in ("--env", pair)],
        *(["--env-file", given.credentials] if given.credentials else []),
        *(["--network", network] if network else []),
        given.image, *told,
    )  # fmt: skip


def _at_once(given: Namespace) -> int:
    """As many as the Swarm has processors for."""
    nodes = _docker("node", "ls", "--quiet").splitlines()
    processors = _docker("node", "inspect", "--format", "{{.Description.Resources.NanoCPUs}}", *nodes)
    whole = sum(int(nano) for nano in processors.split()) // 1_000_000_000
    return min(int(given.shards), max(1, whole // (given.workers or 1)))


def _remove(service: str) -> None:
    """And the network that was made for it, after what is left of its tasks here: from under one, 20.10 takes it half away."""
    if _docker("service", "ls", "--quiet", "--filter", f"name={service}"):
        _docker("service", "rm", service)
    for _ in range(TRIES):
        there = service in _docker("network", "ls", "--format", "{{.Name}}").splitlines()
        left = _docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.swarm.service.name={service}")
        if not (there or left):
            return
        undo = ["rm", "--force", *left.split()] if left else ["network", "rm", service]
        subprocess.run(["docker", *undo], capture_output=True, check=False)
        time.sleep(LOOK_S)


def _wait(service: str, shards: int, out: Place, say: driver.Say) -> str:
    """Until all have ended; returns what is wrong when one of them fails again and again."""
    failed: dict[str, str] = {}
    ended: set[str] = set()
    progress: driver.Progress | None = None
    while True:
        for line in _docker("service", "ps", "--no-trunc", "--format", STATES, service).splitlines():
            task, name, state = line.split("\t")
            slot = name.rpartition(".")[2]
            slot = slot if slot.isdigit() else "0"
            if state.startswith("Complete"):
                ended.add(slot)
            elif state.startswith(("Failed", "Rejected")):
                failed[task] = slot
        if progress is None and out.read(manifest.NAME) is not None:
            progress = driver.Progress(manifest.settled(out), out.names)
        if progress is not None:
            say(progress.line())
        if len(ended) == shards:
            return ""
        worst, times = Counter(failed.values()).most_common(1)[0] if failed else ("", 0)
        if times >= cluster.TRIES:
            last = [task for task in failed if failed[task] == worst][-1]
            return f"slot {worst} failed {times} times, at last: {_last_words(last)}"
        time.sleep(LOOK_S)


def _last_words(task: str) -> str:
    """What it said at last, or what Swarm says of it where its log cannot be had."""
    log = ["docker", "service", "logs", "--raw", "--tail", "1", task]
    told = subprocess.run(log, capture_output=True, text=True, check=False)
    said = (told.stdout + told.stderr).strip().removeprefix("batch: ")
    return said if told.returncode == 0 and said else _docker("inspect", "--format", "{{.Status.Err}}", task)


def _done(out: Place) -> dict[str, Any]:
    said = out.read(success.NAME)
    # Where a shared disk shows files late, nobody may have seen that all are there.
    done: dict[str, Any] | None = json.loads(said) if said else success.finish(manifest.settled(out), out, {})
    if done is None:
        raise Retryable(f"{out.root}: all slots have ended and parts are missing; the same command goes on")
    return done


def _absolute(path: str) -> str:
    return path if "://" in path or path == cluster.OWN_MODEL else str(Path(path).resolve())


def _docker(*words: str) -> str:
    try:
        told = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Retryable("no docker command on PATH; --on swarm asks a Swarm's manager by it") from None
    if told.returncode:
        raise Retryable(f"docker {words[0]} {words[1]}: {told.stderr.strip()}")
    return told.stdout.strip()
