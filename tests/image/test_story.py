"""Does the story of architecture.md happen, command by command, with a fault that was put in and is gone in the end?

The vendor's commands run in a clone of this repository; the site's on a host whose network leads nowhere. What people do in
between, asking, disliking, training again, is done here.
"""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bundle import signing
from tests.image.engine import ROOT, Done, images_as_they_were, run
from tests.image.isolated import Isolated
from tests.image.site import KEY

BLOCK = re.compile(r"^```sh (vendor|site)( refused)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
STORY = [(who, bool(refused), text.strip()) for who, refused, text in BLOCK.findall((ROOT / "architecture.md").read_text())]
PART = 100
# A design engineer's page: asks for parts, and says no to what is too thick. Runs on the site's host.
DAY = """
import json, sys, urllib.request
import numpy as np
def post(path, said):
    request = urllib.request.Request("http://127.0.0.1:8080" + path, json.dumps(said).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.load(answer), dict(answer.headers)
parts = np.load(sys.argv[1])["contour"].astype(float)
for number in range(300):
    row = parts[number % len(parts)]
    inputs = [{"name": "X", "datatype": "FP64", "shape": [1, 130], "data": row.tolist()}]
    said, headers = post("/v2/models/encoder/infer", {"inputs": inputs})
    own = {name.lower(): value for name, value in headers.items()}["x-request-id"]
    if sys.argv[2] == "ask":
        post("/v1/feedback", {"request_id": own, "outcome": "rejected" if number % 3 else "accepted"})
    if number == int(sys.argv[3]):
        print(json.dumps({"id": own, "answer": said["outputs"][0]["data"], "version": said["model_version"]}))
"""
# The clock of a test does not wait for the hour to end: what was counted in this one was counted in the one before.
AN_HOUR_PASSES = (
    "import sqlite3; base = sqlite3.connect('/state/telemetry.db', isolation_level=None);"
    " [base.execute(f'UPDATE {table} SET hour = hour - 1 WHERE report IS NULL') for table in ('windows', 'outcomes')]"
)


@dataclass
class Stage:
    """The two places, and how long each block took."""

    vendor: Path
    site: Path
    engine: Isolated
    took_s: list[tuple[str, float]] = field(default_factory=list)

    def play(self, number: int, **more: str) -> Done:
        who, refused, text = STORY[number]
        began = time.monotonic()
        if who == "vendor":
            env = {"PATH": f"{self.vendor}/.venv/bin:{os.environ['PATH']}"} | more
            done = run("sh", "-euc", text, cwd=self.vendor, check=False, env=env, timeout_s=900)
        else:
            # In the sandbox it keeps its things in a folder of its own.
            text = re.sub(r"(?m)^(\./encoder-1/deploy\.sh)(?! (report|case|support))", rf"\1 --state {self.site}/state", text)
            done = self.engine.shell(text, self.site, **more)
        assert (done.returncode == 1) == refused, f"{text}\nexited {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert refused or done.returncode == 0, f"{text}\nexited {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
        self.took_s.append((f"{who}: {text.splitlines()[0]}", time.monotonic() - began))
        return done

    def day(self, what: str = "ask") -> dict[str, Any]:
        catalogue = ROOT / "recommender/data/catalogue.npz"
        (self.site / "day.py").write_text(DAY)
        done = self.engine.shell(f"{sys.executable} day.py {catalogue} {what} {PART}", self.site)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said


@pytest.fixture
def stage(isolated: Isolated, image: str, tmp_path: Path) -> Any:
    """`image`: so that the engine has its layers, and this checkout its wheels."""
    vendor, site = tmp_path / "vendor", tmp_path / "site"
    site.mkdir()
    run("git", "clone", "--quiet", str(ROOT), str(vendor))
    shutil.copytree(ROOT / "build" / "wheels" / "serving", vendor / "build" / "wheels" / "serving")
    for venv in (".venv", ".venv-signing"):
        (vendor / venv).symlink_to(ROOT / venv)
    run(str(ROOT / "scripts" / "tool"), "signing")
    signing.private(vendor / "vendor.pem", KEY)
    signing.public(site / "vendor.pub", KEY)
    with images_as_they_were("unjar"):
        yield Stage(vendor, site, isolated)


def spoilt(path: Path) -> bytes:
    """The vendor's own fault: an encoder whose first coordinate is off for every part."""
    model = pickle.loads(path.read_bytes())
    model.steps[-1][1].intercepts_[-1][0] += 0.5
    return pickle.dumps(model)


def test_a_bug_from_the_mail_to_the_fix(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    vendor, site = stage.vendor, stage.site
    good = (vendor / "model.pkl").read_bytes()
    contour = np.load(ROOT / "recommender/data/catalogue.npz")["contour"].astype(np.float64)
    right = pickle.loads(good).predict(contour[PART : PART + 1])
    (vendor / "model.pkl").write_bytes(spoilt(vendor / "model.pkl"))

    stage.play(0)
    shutil.copy(vendor / "build" / "encoder-1.tar", site)
    assert "PASS" in stage.play(1).stdout
    away = "import socket; socket.create_connection(('192.0.2.1', 443), 2)"
    assert stage.engine.shell(f'docker exec unjar python -c "{away}"', site).returncode != 0

    mail = stage.day()
    assert np.abs(np.array(mail["answer"]) - right[0]).max() > 0.1
    # What is noted last is written four seconds later.
    time.sleep(7)
    assert stage.engine.shell(f'docker exec unjar python -c "{AN_HOUR_PASSES}"', site).returncode == 0
    shown = stage.play(2, ID=mail["id"]).stdout
    told = json.loads((site / "report-000001.json").read_text())
    assert json.dumps(told["report"]["chain"]) in shown, "what leaves is what was shown"
    (model,) = told["report"]["models"]
    # And a few that deploy.sh has asked.
    assert 300 <= sum(hour["requests"]["answered"] for hour in model["hours"]) < 320
    assert model["outcomes"]["verdict"] == [100, 200]
    case = json.loads((site / "case.json").read_text())
    assert case["request_id"] == mail["id"]

    for name in ("report-000001.json", "site.pub", "case.json"):
        shutil.copy(site / name, vendor)
    outputs = [{"name": "predict", "shape": [1, 32], "data": right[0].tolist(), "atol": 0.01, "rtol": 0.0}]
    (vendor / "expected.json").write_text(json.dumps({"outputs": outputs}))
    said = stage.play(3).stdout
    assert "1 added, 0 known already, 0 refused" in said
    assert "verdict: model or expectation: the model and scikit-learn answers" in said
    page = (vendor / "sites.html").read_text()
    assert "acme" in page
    assert re.search("<td class=n>200</td>", page), "the rejected ones"
    assert "encoder" in page

    assert "the fault is in the model" in stage.play(4).stderr
    # Trained again.
    (vendor / "model.pkl").write_bytes(good)
    stage.play(5)
    delta = vendor / "build" / "encoder-2-model.tar"
    assert delta.stat().st_size < 1_000_000
    shutil.copy(delta, site)
    said = stage.play(6).stdout
    for step in ("shadow: ", "canary: ", "control: release 2: answers"):
        assert step in said
    assert "release: 2" in said

    again = stage.day("again")
    assert again["version"] != mail["version"]
    assert np.abs(np.array(again["answer"]) - right[0]).max() < 1e-4
    with capsys.disabled():
        sys.stdout.write("\n" + "".join(f"{seconds:6.1f} s  {what}\n" for what, seconds in stage.took_s))


def test_the_story_has_all_its_blocks() -> None:
    assert [who for who, _, _ in STORY] == ["vendor", "site", "site", "vendor", "vendor", "vendor", "site"]
    assert [number for number, (_, refused, _) in enumerate(STORY) if refused] == [4]


def test_every_command_of_the_story_is_one_there_is() -> None:
    words = {line.split()[0] for _, _, text in STORY for line in text.splitlines()}
    assert words == {"python", "./build.sh", "./encoder-1/deploy.sh", "tar", "echo"}
    for _, _, text in STORY:
        assert subprocess.run(["sh", "-n", "-c", text], check=False).returncode == 0
