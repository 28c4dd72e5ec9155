"""Does each process of a cluster find its share, and is what starts them one that Kubernetes knows?

No API server can be had where these run: what it makes of the Job is not shown here. The containers that the Job asks for are
run in tests/image/test_batch.py.
"""

import argparse
import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from batch import cluster, manifest
from batch.__main__ import arguments
from batch.errors import Hopeless
from batch.places import Place
from tests.batch.working import LIMIT_S, ROOT, command, contents, encode, numbers, parquet, run, vectors, verified

VERSIONS = ("1.33", "1.35")


def slurm(index: object, first: int = 0, last: int = 3, count: int = 4) -> dict[str, str]:
    said = {"ID": index, "MIN": first, "MAX": last, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in said.items()}


def slot(text: str, node: str = "1gpopa3yzk", shards: str = "4") -> dict[str, str]:
    return {"UNJAR_SLOT": text, "UNJAR_NODE": node, "UNJAR_SHARDS": shards}


@pytest.mark.parametrize(
    ("environment", "share"),
    [
        ({"JOB_COMPLETION_INDEX": "0", "UNJAR_SHARDS": "1"}, (0, 1)),
        ({"JOB_COMPLETION_INDEX": "7", "UNJAR_SHARDS": "8"}, (7, 8)),
        (slot("3"), (3, 4)),
        (slot("1gpopa3yzk"), (0, 4)),
        # A node's id may be all digits.
        (slot("2", node="2"), (0, 4)),
        (slurm(2), (2, 4)),
        (slurm(8, 5, 8), (3, 4)),
        # One element that is started again alone finds what the others have done.
        (slurm(3, 3, 3, 1), (0, 1)),
    ],
)
def test_a_share_is_what_the_cluster_says(environment: dict[str, str], share: tuple[int, int]) -> None:
    assert cluster.own_share(environment) == share


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "found none of JOB_COMPLETION_INDEX, UNJAR_SLOT and SLURM_ARRAY_TASK_ID; give --shard I/N"),
        ({"JOB_COMPLETION_INDEX": "1"}, "UNJAR_SHARDS is None, expected a whole number"),
        ({"JOB_COMPLETION_INDEX": "4", "UNJAR_SHARDS": "4"}, "this is number 4, from 0, of 4"),
        (slot("1gpopa3yzk", node="another"), "UNJAR_SLOT is '1gpopa3yzk', expected a whole number"),
        (slot("{{.Task.Slot}}"), "UNJAR_SLOT is '{{.Task.Slot}}'"),
        (slot("²"), "UNJAR_SLOT is '²'"),
        (slurm(9, 1, 9, 3), "3 elements from 1 to 9 leave gaps; expected --array=0-2"),
    ],
)
def test_what_is_no_share_is_said(environment: dict[str, str], said: str) -> None:
    with pytest.raises(Hopeless) as refused:
        cluster.own_share(environment)
    assert said in str(refused.value)


def given(*words: str) -> argparse.Namespace:
    return arguments().parse_args(["encode", *words, "--on", "k8s", "--shards", "5"])


STORES = ("s3://bucket/in", "s3://bucket/out", "--credentials", "store")
MOUNTS = ("--claim", "tables:/data", "--claim", "answers:/results")
CLAIMS = ("/data/in", "/results/out", *MOUNTS, "--id", "part", "--workers", "2")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("words", [STORES, CLAIMS])
def test_the_job_is_one_that_the_api_knows(words: tuple[str, ...], version: str) -> None:
    kubernetes_validate.validate(cluster.job(given(*words)), version, strict=True)


def test_the_schema_would_say_what_it_does_not_know() -> None:
    job = cluster.job(given(*STORES))
    job["spec"]["completionsMode"] = "Indexed"
    with pytest.raises(kubernetes_validate.ValidationError, match="completionsMode"):
        kubernetes_validate.validate(job, "1.35", strict=True)


def test_what_is_printed_is_the_job_in_yaml() -> None:
    told = run("encode", *CLAIMS, "--on", "k8s", "--shards", "5")
    assert (told.returncode, told.stderr) == (0, "")
    assert yaml.safe_load(told.stdout) == cluster.job(given(*CLAIMS))
    assert told.stdout.startswith('apiVersion: "batch/v1"\nkind: "Job"\n')


def pod(*words: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found: dict[str, Any] = cluster.job(given(*words))["spec"]["template"]["spec"]
    (one,) = found["containers"]
    return found, one


def test_each_pod_finds_its_share_and_runs_the_same_command() -> None:
    found, one = pod(*STORES)
    environment = {pair["name"]: pair["value"] for pair in one["env"]}
    assert cluster.own_share(environment | {"JOB_COMPLETION_INDEX": "4"}) == (4, 5)
    parsed = arguments().parse_args(one["args"])
    assert (parsed.input, parsed.output, parsed.shard, parsed.workers) == ("s3://bucket/in", "s3://bucket/out", None, 1)
    assert one["envFrom"] == [{"secretRef": {"name": "store"}}]
    assert [volume["name"] for volume in found["volumes"]] == ["tmp"]


def test_a_pod_has_no_rights_and_what_it_needs() -> None:
    found, one = pod(*CLAIMS)
    assert (found["securityContext"]["runAsNonRoot"], found["securityContext"]["runAsUser"]) == (True, 65532)
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (found["automountServiceAccountToken"], found["enableServiceLinks"]) == (False, False)
    assert one["securityContext"] == {
        "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    # No limit of processors: throttling would only make it late.
    assert one["resources"] == {"requests": {"cpu": "2", "memory": "768Mi"}, "limits": {"memory": "768Mi"}}
    assert {volume["name"]: volume.get("persistentVolumeClaim") for volume in found["volumes"]} == {
        "tmp": None,
        "claim-0": {"claimName": "tables", "readOnly": True},
        "claim-1": {"claimName": "answers", "readOnly": False},
    }
    mounts = {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
    assert mounts == {"tmp": "/tmp", "claim-0": "/data", "claim-1": "/results"}


def test_what_is_hopeless_ends_its_own_index_and_what_is_not_is_tried_again() -> None:
    spec = cluster.job(given(*STORES))["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 5, 5)
    hopeless, drained = spec["podFailurePolicy"]["rules"]
    assert (hopeless["action"], hopeless["onExitCodes"]["values"]) == ("FailIndex", [1])
    assert (drained["action"], drained["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert spec["backoffLimitPerIndex"] > 1
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_same_work_has_the_same_name_and_other_work_another() -> None:
    asked = [STORES, STORES, (*STORES, "--columns", "a,b"), CLAIMS]
    names = [cluster.job(given(*words))["metadata"]["name"] for words in asked]
    assert names[0] == names[1]
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("/data/in", "s3://bucket/out", "--on", "k8s", "--shards", "2"), "/data/in lies below no --claim"),
        (("in", "out", "--on", "k8s", "--shards", "2", "--claim", "a:/"), "in lies below no --claim"),
        (("/data/in", "/data/../b", "--on", "k8s", "--shards", "2", "--claim", "a:/data"), "/data/../b lies below no --claim"),
        ((*STORES, "--on", "k8s", "--shards", "2", "--model", "/m/own.onnx"), "/m/own.onnx lies below no --claim"),
        ((*STORES, "--on", "k8s", "--shards", "2", "--claim", "tables"), "--claim tables:: expected NAME:/FOLDER"),
        ((*STORES, "--on", "k8s"), "needs --shards N"),
        ((*STORES, "--on", "mesos", "--shards", "2"), "--on mesos: expected k8s, swarm or dask:tls://HOST:PORT"),
        (("nowhere", "out", "--shard", "auto"), "found none of JOB_COMPLETION_INDEX"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_asked(words: tuple[str, ...], said: str) -> None:
    told = run("encode", *words)
    assert told.returncode == 1
    assert said in told.stderr
    assert told.stdout == ""


def tell(environment: Mapping[str, str], *words: object) -> "subprocess.CompletedProcess[str]":
    whole = {**os.environ, **environment}
    return subprocess.run(command(*words), cwd=ROOT, env=whole, capture_output=True, text=True, check=False, timeout=LIMIT_S)


@pytest.mark.parametrize("kind", ["kubernetes", "swarm", "slurm"])
def test_shares_that_begin_at_once_make_one_whole(linear: Path, tmp_path: Path, kind: str) -> None:
    """As each of these would start them; here they are plain processes."""
    given, out = parquet(tmp_path / "in" / "a.parquet", {"X": vectors(numbers(400))}, 50), tmp_path / "out"
    encode(linear, given, tmp_path / "alone", shard_rows=50)
    environments = {
        "kubernetes": [{"JOB_COMPLETION_INDEX": str(i), "UNJAR_SHARDS": "3"} for i in range(3)],
        "swarm": [slot(text, "node", "3") for text in ("node", "1", "2")],
        "slurm": [slurm(i, 1, 3, 3) for i in (1, 2, 3)],
    }[kind]
    words = command("encode", given, out, "--model", linear, "--shard-rows", 50, "--workers", 1, "--shard", "auto")
    running = [subprocess.Popen(words, cwd=ROOT, env={**os.environ, **one}, stderr=subprocess.DEVNULL) for one in environments]
    assert [process.wait(LIMIT_S) for process in running] == [0, 0, 0]
    assert contents(out) == contents(tmp_path / "alone")
    assert not verified(given, out).faults


def test_who_settles_the_manifest_at_the_same_moment_finds_it_there(linear: Path, tmp_path: Path) -> None:
    """Another's manifest may stand in OUT between the look for it and the look for foreign files."""
    encode(linear, parquet(tmp_path / "a.parquet", {"X": vectors(numbers(4))}), tmp_path / "begun")
    settled = manifest.settled(Place.of(str(tmp_path / "begun")))
    faults: list[Exception] = []

    def settle(out: Path) -> None:
        try:
            manifest.settle(settled, Place.of(str(out)))
        except Hopeless as error:
            faults.append(error)

    for i in range(40):
        threads = [threading.Thread(target=settle, args=(tmp_path / f"out-{i}",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []


def test_a_hopeless_task_of_a_swarm_ends_well_and_leaves_its_reason(linear: Path, tmp_path: Path) -> None:
    """Swarm would start it again for ever."""
    given = parquet(tmp_path / "a.parquet", {"X": vectors(numbers(4, wide=2))})
    words = ("encode", given, tmp_path / "out", "--model", linear, "--shard", "auto")
    told = tell(slot("node", "node"), *words)
    assert told.returncode == 0
    reason = (tmp_path / "out" / ".refused-node").read_text()
    assert "which has 3" in reason
    assert reason in told.stderr
    # Elsewhere it is told by the exit code alone.
    told = tell({"JOB_COMPLETION_INDEX": "0", "UNJAR_SHARDS": "1"}, *words)
    assert told.returncode == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".refused-node"]


def test_what_may_be_tried_again_is_left_to_the_swarm(linear: Path, tmp_path: Path) -> None:
    told = tell(slot("1"), "encode", tmp_path / "nowhere", tmp_path / "out", "--model", linear, "--shard", "auto")
    assert told.returncode == 2
    assert not (tmp_path / "out").exists()


def test_without_docker_it_is_said(linear: Path, tmp_path: Path) -> None:
    given = parquet(tmp_path / "a.parquet", {"X": vectors(numbers(4))})
    told = tell({"PATH": str(tmp_path)}, "encode", given, tmp_path / "out", "--on", "swarm", "--shards", "2")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "batch: no docker command on PATH; --on swarm asks a Swarm's manager by it\n"
