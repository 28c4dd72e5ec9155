"""What `python -m training` decides from what it made, without making it."""

import runpy
import sys
from pathlib import Path

import pytest

from training import run
from training.run import Made

FILES = {"model.pkl": b"made", "recommender/data/catalogue.npz": b"parts"}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "make", lambda say: Made(FILES, []))
    return tmp_path


def train(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("training", run_name="__main__")
    return ended.value.code


def test_training_says_what_it_wrote(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(monkeypatch) == 0
    assert "wrote: model.pkl, 4 bytes" in capsys.readouterr().out
    assert (root / "model.pkl").read_bytes() == b"made"


def test_checking_what_was_written_holds_and_writes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert train(monkeypatch, "--check") == 0
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_one_other_byte_does_not_hold_and_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(monkeypatch)
    (root / "model.pkl").write_bytes(b"Made")
    assert train(monkeypatch, "--check") == 1
    assert "differs: model.pkl" in capsys.readouterr().out


def test_an_absent_file_does_not_hold(root: Path) -> None:
    Made(FILES, []).write(root)
    (root / "model.pkl").unlink()
    assert Made(FILES, []).differences(root) == ["model.pkl"]


def test_a_missed_bound_does_not_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    held = {"reconstruction": {"in_tolerance": 0.59}, "performance": {"r2": 0.9}, "retrieval": {"top1": 0.96}}
    _, missed = run.judge(held, 1e-5)
    monkeypatch.setattr(run, "make", lambda say: Made(FILES, missed))
    assert train(monkeypatch) == 1
    assert "in_tolerance misses its bound" in capsys.readouterr().out


def test_a_graph_too_far_from_the_package_misses_its_bound() -> None:
    held = {"reconstruction": {"in_tolerance": 0.7}, "performance": {"r2": 0.9}, "retrieval": {"top1": 0.96}}
    assert [text.split()[0] for text in run.judge(held, 2e-4)[1]] == ["polar_parity"]
    assert run.judge(held, 5e-5)[1] == []


def test_a_bound_that_is_not_a_number_is_missed() -> None:
    held = {"reconstruction": {"in_tolerance": float("nan")}, "performance": {"r2": 0.9}, "retrieval": {"top1": 0.96}}
    assert len(run.judge(held, float("nan"))[1]) == 2
