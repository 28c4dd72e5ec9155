"""Does the running image try to reach anyone, or leave anything behind, in a minute?

In a container without a network a connection attempt finds no route, and the kernel counts it. A second container, with
telemetry allowed, shows that the counter would have moved.
"""

import time
from dataclasses import dataclass

import pytest

from tests.image.engine import Start, docker, inspect, python_in

WATCHED_S = 60
# Loopback traffic finds its route, so a health check or a question to itself is not counted.
COUNT = """
lines = open("/proc/net/snmp").read().splitlines()
ip4 = dict(zip(lines[0].split(), lines[1].split()))
ip6 = dict(line.split() for line in open("/proc/net/snmp6"))
print(int(ip4["OutNoRoutes"]) + int(ip6["Ip6OutNoRoutes"]))
"""
WRITTEN = "import os\nfor folder, _, files in os.walk('/home'): print(folder, *files)"
TALKATIVE = "import onnxruntime, time; session = onnxruntime.InferenceSession('model.onnx'); time.sleep(600)"


@dataclass(frozen=True)
class Watched:
    attempts: int
    changes: list[str]


@pytest.fixture(scope="module")
def minute(start: Start) -> tuple[Watched, Watched]:
    """The image as it is, and its onnxruntime with telemetry allowed, watched over the same minute."""
    # No --read-only: what it would write must show.
    quiet = start("--network", "none", "--health-interval", "5s")
    # The image has no folder that could be written; this one is given a home.
    home = ("--tmpfs", "/home:mode=1777", "--env", "HOME=/home")
    loud = ("--network", "none", "--no-healthcheck", *home, "--env", "ORT_DISABLE_TELEMETRY=0")
    talkative = start(*loud, "--entrypoint", "python", command=("-c", TALKATIVE))
    time.sleep(WATCHED_S)
    assert inspect(quiet)["State"]["Health"]["Status"] == "healthy"
    return (
        Watched(int(python_in(quiet, COUNT)), docker("diff", quiet).splitlines()),
        Watched(int(python_in(talkative, COUNT)), python_in(talkative, WRITTEN).splitlines()),
    )


def test_it_connects_to_nobody(minute: tuple[Watched, Watched]) -> None:
    assert minute[0].attempts == 0


def test_it_writes_no_file(minute: tuple[Watched, Watched]) -> None:
    assert minute[0].changes == []


def test_telemetry_would_have_been_noticed(minute: tuple[Watched, Watched]) -> None:
    assert minute[1].attempts > 0
    assert any("onnxruntime" in change.lower() for change in minute[1].changes), minute[1]
