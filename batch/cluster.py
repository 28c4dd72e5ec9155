"""Which share of a cluster's work is this process's, and what makes Kubernetes start such processes?

The same command runs everywhere, with `--shard auto`; who starts it says in the environment which one it is. Nothing is sent
but words, so there is nothing to unpickle.
"""

import hashlib
import json
import posixpath
from argparse import Namespace
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from batch.errors import Hopeless

# Set by what we ask a cluster for: how many there are; in a Swarm, which one, and on which node.
SHARDS, SLOT, NODE = "UNJAR_SHARDS", "UNJAR_SLOT", "UNJAR_NODE"
KUBERNETES, SLURM = "JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_"
# As the Dockerfile names it.
USER = 65532
OWN_MODEL = "model.onnx"
# Of one container: what Python, Arrow and the driver need, and each worker.
MEMORY_MIB, WORKER_MIB = 256, 256
TRIES = 6


def own_share(environment: Mapping[str, str]) -> tuple[int, int]:
    """Which one of how many, as Kubernetes, Swarm or Slurm told this process. Raises Hopeless."""

    def number(name: str) -> int:
        text = environment.get(name)
        if text is None or not (text.isascii() and text.isdigit()):
            raise Hopeless(f"--shard auto: {name} is {text!r}, expected a whole number")
        return int(text)

    if KUBERNETES in environment:
        index, total = number(KUBERNETES), number(SHARDS)
    elif SLOT in environment:
        # A Swarm job counts from 0, and Swarm writes the node's id where a slot is 0.
        index, total = 0 if environment[SLOT] == environment.get(NODE) else number(SLOT), number(SHARDS)
    elif f"{SLURM}ID" in environment:
        first, last, total = (number(f"{SLURM}{name}") for name in ("MIN", "MAX", "COUNT"))
        if last - first + 1 != total:
            raise Hopeless(f"--shard auto: {total} elements from {first} to {last} leave gaps; expected --array=0-{total - 1}")
        index = number(f"{SLURM}ID") - first
    else:
        raise Hopeless(f"--shard auto: found none of {KUBERNETES}, {SLOT} and {SLURM}ID; give --shard I/N")
    if index >= total:
        raise Hopeless(f"--shard auto: this is number {index}, from 0, of {total}")
    return index, total


def arguments(given: Namespace, source: str, out: str, model: str) -> list[str]:
    """What each container is told."""
    chosen = {"--id": given.id, "--columns": given.columns, "--shard-rows": given.shard_rows}
    chosen["--model"] = None if model == OWN_MODEL else model
    flags = [f"{flag}={value}" for flag, value in chosen.items() if value is not None]
    flags.append(f"--workers={given.workers or 1}")
    return ["encode", source, out, "--shard=auto", *flags]


def name(given: Namespace, told: list[str]) -> str:
    """The same for the same work, so that it is not begun twice."""
    return "unjar-batch-" + hashlib.sha256(json.dumps([told, given.shards, given.image]).encode()).hexdigest()[:10]


def memory_mib(given: Namespace) -> int:
    return MEMORY_MIB + WORKER_MIB * (given.workers or 1)


def job(given: Namespace) -> dict[str, Any]:
    """An Indexed Job. Raises Hopeless where IN, OUT or a model of one's own would not be seen by a pod."""
    told = arguments(given, given.input, given.output, given.model)
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(given, told)],
        "volumes": [{"name": "tmp", "emptyDir": {}}, *_volumes(given)],
    }  # fmt: skip
    # What is hopeless ends its own index, as it spoils its own shard on one machine; a drained node is nobody's fault.
    refused = {"action": "FailIndex", "onExitCodes": {"containerName": "batch", "operator": "In", "values": [1]}}
    drained = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name(given, told), "labels": {"app.kubernetes.io/name": "unjar-batch"}},
        "spec": {
            "completionMode": "Indexed", "completions": given.shards, "parallelism": given.shards,
            "backoffLimitPerIndex": TRIES, "podFailurePolicy": {"rules": [refused, drained]},
            "template": {"metadata": {"labels": {"app.kubernetes.io/name": "unjar-batch"}}, "spec": pod},
        },
    }  # fmt: skip


def _container(given: Namespace, told: list[str]) -> dict[str, Any]:
    memory = f"{memory_mib(given)}Mi"
    mounts = [
        {"name": f"claim-{i}", "mountPath": folder, "readOnly": read_only}
        for i, (_, folder, read_only) in enumerate(_claims(given))
    ]
    return {
        "name": "batch",
        "image": given.image,
        "imagePullPolicy": "IfNotPresent",
        "args": told,
        "env": [{"name": SHARDS, "value": str(given.shards)}],
        "envFrom": [{"secretRef": {"name": given.credentials}}] if given.credentials else [],
        "resources": {"requests": {"cpu": str(given.workers or 1), "memory": memory}, "limits": {"memory": memory}},
        "securityContext": {
            "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *mounts],
    }  # fmt: skip


def _volumes(given: Namespace) -> list[dict[str, Any]]:
    return [
        {"name": f"claim-{i}", "persistentVolumeClaim": {"claimName": claim, "readOnly": read_only}}
        for i, (claim, _, read_only) in enumerate(_claims(given))
    ]


def _claims(given: Namespace) -> list[tuple[str, str, bool]]:
    """Name, folder and whether nothing is written there."""
    claims = [text.partition(":")[::2] for text in given.claim]
    for claim, folder in claims:
        if not claim or not folder.startswith("/"):
            raise Hopeless(f"--claim {claim}:{folder}: expected NAME:/FOLDER")
    for path in (given.input, given.output, given.model):
        if "://" not in path and path != OWN_MODEL and not any(_lies_below(path, folder) for _, folder in claims):
            raise Hopeless(f"--on k8s: {path} lies below no --claim; a pod sees what --claim NAME:/FOLDER shows it, and stores")
    return [(claim, folder, not _lies_below(given.output, folder)) for claim, folder in claims]


def _lies_below(path: str, folder: str) -> bool:
    return path.startswith("/") and PurePosixPath(posixpath.normpath(path)).is_relative_to(folder)


def as_yaml(value: Any, indent: str = "") -> str:
    """Blocks of mappings and lists; what is inside is JSON, which YAML reads."""
    if isinstance(value, dict) and value:
        return "".join(f"\n{indent}{key}:{as_yaml(one, indent + '  ')}" for key, one in value.items())
    if isinstance(value, list) and value:
        return "".join(f"\n{indent}- {as_yaml(one, indent + '  ').lstrip()}" for one in value)
    return f" {json.dumps(value, ensure_ascii=False)}"
