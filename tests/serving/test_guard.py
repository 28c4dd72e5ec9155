"""Is every attempt to unpickle refused and counted, in a process that still serves?"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import graphs
from tests.serving.asking import ROOT, environment

# What the guard refuses runs in a process of its own: an audit hook cannot be taken off again.
SERVING = """
import io, pickle, sys
import numpy as np
from serving import guard
from serving.logs import log_to
from tests.serving import graphs
from tests.serving.asking import asker, question

class Payload:
    def __reduce__(self):
        return (print, ("the payload ran",))

stream = pickle.dumps(Payload())
array = io.BytesIO()
np.save(array, np.array([Payload()], object), allow_pickle=True)
log_to()
guard.refuse_unpickling()
guard.refuse_unpickling()
ask = asker(graphs.linear())

def attempt():
    {attempt}

try:
    attempt()
except guard.UnpicklingRefused as refusal:
    print("refused:", refusal)
answer = ask("POST", "/v2/models/test/infer", json=question([1, 2, 3]))
print("answers:", answer.json()["outputs"][0]["data"])
print([line for line in ask("GET", "/metrics").text.splitlines() if line.startswith("unjar_unpickling")])
"""


def run(tmp_path: Path, attempt: str) -> subprocess.CompletedProcess[str]:
    code = SERVING.replace("{attempt}", attempt)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "attempt",
    [
        "pickle.loads(stream)",
        "pickle.load(io.BytesIO(stream))",
        "pickle.Unpickler(io.BytesIO(stream)).load()",
        "pickle._Unpickler(io.BytesIO(stream)).load()",
        "array.seek(0); np.load(array, allow_pickle=True)",
    ],
)
def test_nothing_can_be_unpickled_once_the_server_has_started(tmp_path: Path, attempt: str) -> None:
    done = run(tmp_path, attempt)
    assert done.returncode == 0, done.stderr
    assert "the payload ran" not in done.stdout
    assert "refused: a pickle asks for" in done.stdout
    assert "this process opens no pickle" in done.stdout
    assert "answers: [14.0, 140.0]" in done.stdout
    assert "['unjar_unpickling_refused_total 1.0']" in done.stdout
    assert '"event": "unpickling_refused"' in done.stderr


def test_without_an_attempt_nothing_is_counted(tmp_path: Path) -> None:
    done = run(tmp_path, "pass")
    assert "['unjar_unpickling_refused_total 0.0']" in done.stdout, done.stderr


def test_the_same_pickle_runs_where_there_is_no_guard(tmp_path: Path) -> None:
    code = SERVING.replace("{attempt}", "pickle.loads(stream)").replace("guard.refuse_unpickling()", "pass")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert "the payload ran" in done.stdout, done.stderr


def test_the_server_process_has_the_guard_on(tmp_path: Path) -> None:
    """The very process of server.py: an attempt from inside it, as a signal handler, is refused and counted."""
    (tmp_path / "model.onnx").write_bytes(graphs.linear())
    code = (
        "import pickle, sys, uvicorn, fractions, serving.process as p\n"
        "stream = pickle.dumps(fractions.Fraction(1, 2))\n"
        "def run(self, sockets):\n"
        "    try:\n        pickle.loads(stream)\n        print('unpickled')\n"
        "    except p.refuse_unpickling.__globals__['UnpicklingRefused']:\n        print('refused')\n"
        "uvicorn.Server.run = run\n"
        "from serving.settings import Settings\n"
        "p.run(Settings.read({}, {'port': '0'}))\n"
    )
    env = environment(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "refused\n", done.stderr
