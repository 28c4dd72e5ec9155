"""Does the image for whole tables answer each row once, in a Swarm and as Kubernetes starts it, and unpickle nothing?

Truly run on the engine, in a swarm of one node. No API server of Kubernetes can be had: the containers that its Job asks for
are run as they are.
"""

import json
import os
import random
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from batch import cluster, swarm
from batch.__main__ import arguments
from batch.errors import Retryable
from tests.batch.test_no_pickle import WATCH
from tests.batch.working import command, contents, encode, graphs, numbers, parquet, vectors, verified, wait_until
from tests.image import test_contents
from tests.image.engine import HARDENED, ROOT, Done, docker, inspect, remove_images, run
from tests.image.listing import Listing, listed
from tests.image.test_container import IMPORTED, REFUSED

NAME = "unjar-test-whole-tables"
WATCHED = "unjar-test-watched-tables"
SHARDS = 200
WORDS = ("--id", "part", "--shard-rows", "100")


@pytest.fixture(scope="module")
def image(engine: None) -> Iterator[str]:
    """As ./build.sh --batch makes it from this checkout."""
    run("./build.sh", "--batch", "--name", NAME, timeout_s=900)
    yield f"{NAME}:batch"
    remove_images(NAME)


@pytest.fixture(scope="module")
def files(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listing]:
    with listed(image, tmp_path_factory.mktemp("image") / "files.tar") as found:
        yield found


@pytest.fixture(scope="module")
def watched(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image with a hook that Python itself loads as it starts, $LATE seconds later: it notes into $SEEN what is unpickled,
    and its end."""
    folder = tmp_path_factory.mktemp("watched")
    late = "import os, time\ntime.sleep(float(os.environ.get('LATE', 0)))\n"
    (folder / "sitecustomize.py").write_text(late + textwrap.dedent(WATCH))
    site = f"/usr/local/lib/python3.{test_contents.MINOR}/site-packages"
    (folder / "Dockerfile").write_text(f"FROM {image}\nCOPY sitecustomize.py {site}/\n")
    docker("build", "--network", "none", "--tag", WATCHED, str(folder))
    yield WATCHED
    remove_images(WATCHED)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "linear.onnx"
    path.write_bytes(graphs.linear())
    path.chmod(0o644)
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four files of 5,000 rows, some of which the model refuses: 200 shards of 100."""
    folder = tmp_path_factory.mktemp("tables") / "in"
    for i in range(4):
        rows = numbers(5000)
        rows[[7, 300, 4999], [0, 1, 2]] = np.nan
        parquet(folder / f"{i}.parquet", {"part": np.arange(5000) + 10_000 * i, "X": vectors(rows)}, 100)
    return folder


@pytest.fixture(scope="module")
def undisturbed(model: Path, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What OUT holds when nothing happens, written outside of any container."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    encode(model, tables, out, id="part", shard_rows=100)
    found = contents(out)
    assert len([name for name in found if name.startswith("part-")]) == SHARDS
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that whoever runs the image may write to."""
    return writable(tmp_path / "out")


def writable(folder: Path) -> Path:
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def parts(out: Path) -> int:
    return len(list(out.glob("part-*")))


def flags(*read: Path, out: Path) -> list[str]:
    """Of docker run: nothing but what is needed, and no network."""
    mounts = [f"{path}:{path}:ro" for path in read] + [f"{out}:{out}"]
    volumes = [word for mount in mounts for word in ("--volume", mount)]
    return [*HARDENED, "--network", "none", "--tmpfs", "/tmp:mode=1777", *volumes]


def seen(out: Path) -> list[str]:
    """What each process noted at its end, and anything that it unpickled before."""
    noted = (out / ".seen").read_text().splitlines()
    (out / ".seen").unlink()
    return [line.split(" ", 1)[1] for line in noted]


CLAIMS: list[Callable[[Listing], None]] = [
    test_contents.test_no_file_is_a_pickle,
    test_contents.test_no_file_is_named_as_a_pickle,
    test_contents.test_no_unpickler_is_left_in_the_standard_library,
    test_contents.test_nothing_can_be_written_and_no_program_changes_its_user,
    test_contents.test_the_only_program_is_python,
    test_contents.test_no_secret_and_no_path_of_the_build_is_left,
    test_contents.test_bytecode_is_compiled_and_never_checked_against_the_clock,
]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__.removeprefix("test_"))
def test_what_holds_of_the_servers_files_holds_of_these(files: Listing, claim: Callable[[Listing], None]) -> None:
    claim(files)


def test_it_is_the_servers_image_and_what_is_locked_for_tables(files: Listing) -> None:
    lock = (ROOT / "requirements/batch.txt").read_text()
    locked = {"-".join(line.split(" ")[0].split("==")).replace("_", "-") for line in lock.splitlines() if "==" in line}
    folders = {name.rpartition("/")[2] for name in files.members if name.endswith(".dist-info")}
    installed = {name.removesuffix(".dist-info").replace("_", "-") for name in folders}
    assert {name.rpartition("-")[0] for name in installed} >= {"pyarrow", "onnxruntime", "uvicorn"}
    assert installed <= locked
    assert set(files.within("/app")) == {"serving", "recommender", "batch", "server.py", "model.onnx", "__pycache__"}
    ours = {path.name: path.read_bytes() for path in (ROOT / "batch").glob("*.py")}
    assert {name: files.read(f"/app/batch/{name}") for name in files.within("/app/batch") if name.endswith(".py")} == ours


def test_of_arrow_only_what_is_loaded_is_inside(files: Listing) -> None:
    arrow = [name for name in files.files() if "/pyarrow/" in name]
    assert [name for name in arrow if "libarrow.so" in name]
    unused = ("flight", "cuda", "gandiva", "/tests/", "/include/", ".pyx", ".pxd", "orc.", "/src/")
    assert [name for name in arrow if any(word in name for word in unused)] == []


def test_it_is_small(files: Listing) -> None:
    sizes = {name: member.size for name, member in files.files().items() if name not in test_contents.MADE_BY_THE_ENGINE}
    assert len(sizes) <= 850
    assert sum(sizes.values()) <= 260e6


@pytest.mark.parametrize(("code", "said"), [(REFUSED, "refused"), (IMPORTED, "[]")])
def test_nothing_can_be_unpickled(image: str, code: str, said: str) -> None:
    told = docker("run", "--rm", *HARDENED, "--network", "none", "--entrypoint", "python", image, "-c", code)
    assert {line.rpartition(" ")[2] for line in told.splitlines()} == {said}


def test_every_kind_of_table_is_answered_as_outside_and_nothing_is_unpickled(
    watched: str, model: Path, out: Path, tmp_path: Path
) -> None:
    rows = numbers(300)
    wide = {f"X.{i}": rows[:, i] for i in range(3)}
    holed = rows.copy()
    holed[5] = np.nan
    given = [
        parquet(tmp_path / "lists" / "a.parquet", {"part": [str(i) for i in range(300)], "X": vectors(holed)}, 100),
        parquet(tmp_path / "wide" / "a.parquet", wide, 100),
        tmp_path / "a.csv",
        tmp_path / "a.npy",
    ]
    pyarrow.csv.write_csv(pa.table(wide), given[2])
    np.save(given[3], rows)
    for one in given:
        named = one.parent.name == "lists"
        here, there = writable(out / f"here-{given.index(one)}"), out / f"there-{given.index(one)}"
        contained = ["docker", "run", "--rm", *flags(one, model, out=here), "--env", f"SEEN={here}/.seen", watched]
        words = ["--model", str(model), "--shard-rows", "100", "--workers", "2", *(("--id", "part") if named else ())]
        assert run(*contained, "encode", str(one), str(here), *words).stdout.startswith("batch: 300 rows in")
        noted = seen(here)
        encode(model, one, there, shard_rows=100, **({"id": "part"} if named else {}))
        assert contents(here) == contents(there)
        assert "each row exactly once" in run(*contained, "verify", str(one), str(here)).stdout
        # The driver, its workers, and who verified: each came to its end and had nothing to tell.
        assert set(noted + seen(here)) == {"loaded []"}
        assert len(noted) >= 2


def test_the_watch_in_the_image_would_have_seen_it(watched: str, out: Path) -> None:
    code = "import pickle\ntry: pickle.loads(b'')\nexcept pickle.UnpicklingError: pass"
    docker("run", "--rm", *flags(out=out), "--env", f"SEEN={out}/.seen", "--entrypoint", "python", watched, "-c", code)
    assert [line.split(" ")[0] for line in seen(out)] == ["find_class", "loaded"]


def test_a_store_that_does_not_answer_is_said(image: str, tmp_path: Path, out: Path) -> None:
    store = "s3://bucket/in?endpoint_override=127.0.0.1:9&scheme=http"
    told = run("docker", "run", "--rm", *flags(out=out), image, "encode", store, str(out), check=False)
    assert (told.returncode, "Traceback" in told.stderr) == (2, False), told.stderr
    assert "Could not connect to server" in told.stderr


def test_the_containers_of_the_kubernetes_job_make_one_whole(watched: str, tmp_path: Path, out: Path) -> None:
    """With the image's own model. Kubernetes would set JOB_COMPLETION_INDEX, the user and the mounts as the Job says."""
    rows = np.full((90, 130), 0.01)
    given = parquet(tmp_path / "in" / "a.parquet", {"part": np.arange(90), "contour": vectors(rows)}, 30).parent
    claims = ("--claim", f"tables:{given}", "--claim", f"answers:{out}")
    asked = ("encode", str(given), str(out), "--id", "part", "--shard-rows", "30", *claims)
    job = cluster.job(arguments().parse_args([*asked, "--on", "k8s", "--shards", "2", "--image", watched]))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    said = [f"{pair['name']}={pair['value']}" for pair in container["env"]]
    for i in range(2):
        environment = [*said, f"JOB_COMPLETION_INDEX={i}", f"SEEN={out}/.seen"]
        user = str(job["spec"]["template"]["spec"]["securityContext"]["runAsUser"])
        more = [word for pair in environment for word in ("--env", pair)]
        run("docker", "run", "--rm", *flags(given, out=out), "--user", user, *more, container["image"], *container["args"])
        assert (out / "_SUCCESS.json").exists() is (i == 1)
    assert seen(out) == ["loaded []"] * 4
    assert not verified(given, out).faults


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_of_the_container_at_any_moment_loses_nothing(
    image: str, model: Path, tables: Path, out: Path, undisturbed: dict[str, str], seed: int
) -> None:
    """Five moments each. A moment is a number of parts in OUT, so that none depends on how fast a machine is."""
    words = ("encode", str(tables), str(out), "--model", str(model), *WORDS, "--workers", "2")
    killed = 0
    for moment in sorted(random.Random(seed).sample(range(SHARDS - 50), 5)):
        container = docker("run", "--detach", *flags(tables, model, out=out), image, *words)
        wait_until(lambda least=moment, one=container: parts(out) >= least or not alive(one), "the container does nothing")  # type: ignore[misc]
        killed += run("docker", "kill", "--signal", "KILL", container, check=False).returncode == 0
        assert docker("wait", container) in ("137", "0")
        docker("rm", container)
    # On a machine that stood still it may have ended before.
    assert killed >= 3
    run("docker", "run", "--rm", *flags(tables, model, out=out), image, *words)
    assert contents(out) == undisturbed
    assert not verified(tables, out, sweep=True).faults


def alive(container: str) -> bool:
    return bool(inspect(container)["State"]["Running"])


@pytest.fixture(scope="module")
def one_node() -> Iterator[None]:
    docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    yield
    docker("swarm", "leave", "--force")
    # The engine takes them away itself, a moment later.
    wait_until(lambda: not tasks(running=False), "containers of a Swarm's tasks are still there")


def on_swarm(*words: object) -> list[str]:
    return command(*words, "--on", "swarm", "--shards", 4)


def waiting(*words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(on_swarm(*words), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def tasks(running: bool = True) -> list[str]:
    shown = () if running else ("--all",)
    return docker("ps", *shown, "--quiet", "--no-trunc", "--filter", "name=unjar-batch-").splitlines()


def services() -> str:
    return docker("service", "ls", "--quiet") + docker("network", "ls", "--quiet", "--filter", "name=unjar-batch-")


def test_four_slots_of_a_swarm_answer_each_row_once_though_one_is_killed(
    one_node: None, watched: str, model: Path, tables: Path, out: Path, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    # However slow the engine is to tell what runs, there is still something to stop and to kill.
    (tmp_path / "store").write_text(f"SEEN={out}/.seen\nLATE=2\n")
    words = ("encode", tables, out, "--model", model, *WORDS, "--image", watched, "--credentials", tmp_path / "store")
    first = waiting(*words)
    wait_until(tasks, "no task is started")
    # Who waits may go away; the same command finds the service.
    first.send_signal(2)
    told = first.communicate(timeout=60)[1]
    assert first.returncode == 2
    assert "goes on without being waited for; the same command waits again" in told
    second = waiting(*words)
    wait_until(lambda: any(killed(task, out) for task in tasks()), "no task to kill")
    ever: set[str] = set()
    while second.poll() is None:
        ever |= set(tasks(running=False))
        time.sleep(0.3)
    said, told = second.communicate()
    assert second.returncode == 0, told
    assert "is there already" in told
    assert said.startswith("batch: 20000 rows in, 19988 answered, 12 in quarantine")
    # Four slots, and the one that came in the killed one's place.
    assert len(ever) >= 5
    assert set(seen(out)) == {"loaded []"}
    assert contents(out) == undisturbed
    assert not verified(tables, out, sweep=True).faults
    assert services() == ""


def killed(task: str, out: Path) -> bool:
    """Once it works; what it may do is looked at before."""
    if not parts(out):
        return False
    found = inspect(task)
    if run("docker", "kill", "--signal", "KILL", task, check=False).returncode:
        return False
    host = found["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["PidsLimit"]) == (True, ["ALL"], 256)
    assert found["Config"]["User"] == "65532:65532"
    assert [mount["Destination"] for mount in found["Mounts"] if mount["RW"] and mount["Type"] == "bind"] == [str(out)]
    (network,) = found["NetworkSettings"]["Networks"]
    assert json.loads(docker("network", "inspect", network))[0]["Internal"]
    return True


def test_a_hopeless_slot_ends_itself_and_the_others_go_on(
    one_node: None, image: str, model: Path, out: Path, tmp_path: Path
) -> None:
    given = tmp_path / "in"
    for i in range(4):
        parquet(given / f"{i}.parquet", {"X": vectors(numbers(50))}, 50)
    content = bytearray((given / "2.parquet").read_bytes())
    content[4:200] = b"\xff" * 196
    (given / "2.parquet").write_bytes(content)
    done = swarmed("encode", given, out, "--model", model, "--image", image)
    assert done.returncode == 1
    assert "2.parquet: cannot be read" in done.stderr
    assert (parts(out), sorted(path.name for path in out.glob(".*"))) == (3, [])
    assert services() == ""


def swarmed(*words: object) -> Done:
    return run(*on_swarm(*words), check=False)


def test_a_slot_that_fails_again_and_again_is_given_up(
    one_node: None, image: str, model: Path, tables: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o755)
    if os.getuid():
        out.chmod(0o555)
    words = ("encode", tables, out, "--model", model, *WORDS, "--on", "swarm", "--shards", 1, "--image", image)
    with pytest.raises(Retryable, match=r"failed 6 times, at last: .*Permission denied"):
        swarm.run(arguments().parse_args([str(word) for word in words]), lambda line: None, restart_delay="1s")
    assert services() == ""


def test_without_a_swarm_it_is_said(image: str, tables: Path, tmp_path: Path) -> None:
    words: tuple[Any, ...] = ("encode", tables, tmp_path / "out", "--on", "swarm", "--shards", 2, "--image", image)
    environment = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    done = run(*command(*words), check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith("batch: docker service ls: ")
