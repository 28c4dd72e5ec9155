"""Does build.sh refuse what it must, say why, and do nothing twice?"""

import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundle.image import archive
from tests.image.engine import ROOT, copy_project, docker, remove_images, run

# Shown only when it ran: the command's own text, which a message may quote, has no 42 in it.
PLANTED = "touch /marks/ran; echo planted-$((40+2))"


class Planted:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (PLANTED,)


@pytest.fixture
def project(image: str, tmp_path: Path) -> Path:
    """A copy to change; `image` has fetched the wheels of what serves by now."""
    return copy_project(tmp_path / "project")


def test_a_planted_pickle_stops_the_build_by_name(project: Path) -> None:
    (project / "model.pkl").write_bytes(pickle.dumps(Planted()))
    done = run("./build.sh", "--name", "unjar-test-planted", check=False, cwd=project)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "posix.system" in said
    assert "planted-42" not in said
    assert docker("images", "--quiet", "unjar-test-planted") == ""


@pytest.fixture(scope="module")
def builder(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The stage that holds scikit-learn; build.sh fetches what it needs only where a model is to be converted."""
    project = copy_project(tmp_path_factory.mktemp("builder") / "project")
    (project / "model.pkl").write_bytes(pickle.dumps(Planted()))
    assert run("./build.sh", "--name", "unjar-test-planted", check=False, cwd=project).returncode == 1
    base = os.environ.get("BASE_IMAGE")
    chosen = ("--build-arg", f"BASE_IMAGE={base}") if base else ()
    file = ("--file", str(project / "bundle" / "image" / "conversion.Dockerfile"))
    docker("build", "--network", "none", *file, "--target", "builder", "--tag", "unjar-test-builder", *chosen, str(project))
    yield "unjar-test-builder"
    remove_images("unjar-test-builder")


@pytest.mark.parametrize(("command", "ran"), [("convert.py model.pkl", False), ("-m pickle model.pkl", True)])
def test_nothing_of_a_planted_pickle_runs(project: Path, builder: str, command: str, ran: bool) -> None:
    """The second case is the control: opened by pickle itself, the same file does leave its mark."""
    (project / "model.pkl").write_bytes(pickle.dumps(Planted()))
    marks = project / "marks"
    marks.mkdir()
    mounts = ("--volume", f"{project}:/src", "--volume", f"{marks}:/marks")
    done = run("docker", "run", "--rm", "--network", "none", *mounts, builder, "python", *command.split(), check=False)
    assert (marks / "ran").exists() is ran, done.stderr
    assert (done.returncode == 0) is ran


def test_a_file_that_is_no_pickle_cannot_be_looked_at(project: Path) -> None:
    (project / "model.pkl").write_bytes(b"not a model\n")
    done = run("./build.sh", "--name", "unjar-test-planted", check=False, cwd=project)
    assert done.returncode == 2
    assert "cannot read model.pkl" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_second_build_fetches_nothing_and_makes_the_same_image(project: Path) -> None:
    ids = []
    for _ in range(2):
        said = run("./build.sh", "--name", "unjar-test-twice", cwd=project).stdout
        assert "build: fetching" not in said
        ids.append(docker("image", "inspect", "--format", "{{.Id}}", "unjar-test-twice"))
    remove_images("unjar-test-twice")
    assert ids[0] == ids[1]
    assert f"build: id {ids[0]}" in said


def test_a_build_that_reuses_nothing_makes_the_same_image(image: str, tmp_path: Path) -> None:
    base, epoch = os.environ.get("BASE_IMAGE"), run("git", "log", "-1", "--format=%ct").stdout.strip()
    given = {"SOURCE_DATE_EPOCH": epoch, "MODEL_SHA256": "", **({"BASE_IMAGE": base} if base else {})}
    flags = [flag for pair in given.items() for flag in ("--build-arg", "=".join(pair))]
    labels = docker("image", "inspect", "--format", '{{index .Config.Labels "org.opencontainers.image.revision"}}', image)
    label = ("--label", f"org.opencontainers.image.revision={labels}")
    docker("build", "--no-cache", "--network", "none", *flags, *label, "--tag", "unjar-test-again", str(ROOT))
    saved, settled = tmp_path / "saved.tar", tmp_path / "settled.tar"
    docker("save", "--output", str(saved), "unjar-test-again")
    with saved.open("rb") as source, settled.open("wb") as target:
        identity = archive.write(source, target, "unjar-test-again:latest", int(epoch))
    remove_images("unjar-test-again")
    assert identity == docker("image", "inspect", "--format", "{{.Id}}", image)


def test_it_tags_the_image_with_the_models_digest(image: str) -> None:
    digest = docker(
        "run", "--rm", "--entrypoint", "python", image, "-c",
        "from pathlib import Path; from serving.model import Model; print(Model.load(Path('model.onnx')).digest[:12])",
    )  # fmt: skip
    tagged = image.replace("latest", digest)
    assert docker("image", "inspect", "--format", "{{.Id}}", tagged) == docker("image", "inspect", "--format", "{{.Id}}", image)


@pytest.mark.parametrize(
    ("flags", "environment", "found"),
    [
        ((), {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}, "no engine answers"),
        (("--base", "127.0.0.1:9/nobody/python:3.12"), {}, "127.0.0.1:9/nobody/python:3.12 cannot be pulled"),
        (("--bogus",), {}, "./build.sh [--name unjar]"),
        (("--batch", "--bundle"), {}, "the image for whole tables is in no bundle; docker save unjar:batch packs it"),
        (("--name",), {}, "./build.sh [--name unjar]"),
    ],
)
def test_what_is_missing_is_said(image: str, flags: tuple[str, ...], environment: dict[str, str], found: str) -> None:
    done = run("/bin/sh", str(ROOT / "build.sh"), *flags, check=False, env=environment)
    assert done.returncode == 2, done.stderr
    assert found in done.stderr


@pytest.mark.parametrize("script", ["build.sh", "deploy.sh"])
def test_a_machine_without_docker_is_told_what_to_install(tmp_path: Path, script: str) -> None:
    for tool in ("dirname", "sed", "flock"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    done = run("/bin/sh", str(ROOT / script), check=False, env={"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert done.stderr.startswith(f"{script.removesuffix('.sh')}: no docker command on PATH; install")


def test_a_missing_model_is_said(project: Path) -> None:
    (project / "model.pkl").unlink()
    done = run("./build.sh", check=False, cwd=project)
    assert done.returncode == 2
    assert "model.pkl: no such file" in done.stderr
