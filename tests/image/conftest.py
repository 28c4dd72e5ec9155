"""Is there an engine to test the image with?

Where none answers these tests are not collected, and the run says so. In CI (CI=true) that is a failure instead.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.image.engine import HARDENED, Start, docker, remove, remove_images, run, silence
from tests.image.isolated import Isolated, isolated_engine
from tests.image.listing import Listing, listed

SILENCE = silence()
collect_ignore_glob = ["test_*.py"] if SILENCE and os.environ.get("CI") != "true" else []

IMAGE = "unjar-test"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if collect_ignore_glob:
        terminalreporter.write_line(f"tests/image: not collected, no container engine answers ({SILENCE})")


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    assert SILENCE is None, f"CI tests the image and no container engine answers: {SILENCE}"


@pytest.fixture(scope="session")
def image(engine: None) -> Iterator[str]:
    """The image as ./build.sh makes it from this checkout."""
    run("./build.sh", "--name", IMAGE, timeout_s=900)
    yield f"{IMAGE}:latest"
    remove_images(IMAGE)


@pytest.fixture(scope="session")
def listing(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listing]:
    with listed(image, tmp_path_factory.mktemp("image") / "files.tar") as found:
        yield found


@pytest.fixture(scope="module")
def start(image: str) -> Iterator[Start]:
    """start(*docker_run_flags, command=[...]) -> container id; removed when the module's tests are over."""
    started: list[str] = []

    def begin(*flags: str, command: tuple[str, ...] = ()) -> str:
        started.append(docker("run", "--detach", *flags, image, *command))
        return started[-1]

    yield begin
    for container in started:
        docker("rm", "--force", container)


@pytest.fixture(scope="module")
def hardened(start: Start) -> str:
    """A running container with nothing but what deploy.sh leaves it, and no network either."""
    return start(*HARDENED, "--network", "none", "--health-interval", "1s")


@pytest.fixture
def isolated() -> Iterator[Isolated]:
    # A socket's path has at most 107 letters.
    with TemporaryDirectory(prefix="unjar-") as folder, isolated_engine(Path(folder)) as found:
        yield found


@pytest.fixture
def name() -> Iterator[str]:
    """A container name for deploy.sh, with nothing under it before or after."""
    chosen = f"unjar-test-{os.getpid()}"
    all_of_them = (chosen, f"{chosen}-previous", f"{chosen}-candidate")
    remove(*all_of_them)
    yield chosen
    remove(*all_of_them)
    run("docker", "volume", "rm", "--force", f"{chosen}-state")
