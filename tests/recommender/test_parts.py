"""Are the customer's own parts there after whatever happened, and never in another encoder's coordinates?"""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from recommender import parts
from recommender.answers import dat
from recommender.catalogue import CatalogueRefused, load
from recommender.encoder import Encoder
from recommender.parts import Part
from recommender.polar import Polar
from recommender.workshop import Shed, Workshop
from serving.model import Model
from tests.recommender.conftest import ROOT, turned

KNOWN = load().contour.astype(np.float64)


@pytest.fixture(scope="module")
def encoder(shipped: Model) -> Encoder:
    return Encoder.of(shipped, KNOWN)


def part(name: str, scale: float = 1.1) -> Part:
    return Part(name, f"Part {name}", "workshop 7", KNOWN[11] * scale)


def run(folder: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("UNJAR_")}
    environment = kept | {"PYTHONPATH": str(ROOT), "UNJAR_STATE": str(folder), "UNJAR_MODEL": str(ROOT / "model.onnx")}
    command = [sys.executable, "-m", "recommender", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=60)


def test_a_part_comes_back_as_it_was_added(tmp_path: Path, encoder: Encoder) -> None:
    made = parts.add(tmp_path / "p.npz", [part("a"), part("b", 1.2)], encoder)
    again = parts.read(tmp_path / "p.npz", encoder.digest)
    assert (made.version, again.version) == (1, 1)
    assert again.parts.id.tolist() == ["own/a", "own/b"]
    assert again.parts.source.tolist() == ["workshop 7"] * 2
    assert again.parts.own.all()
    assert np.array_equal(again.parts.contour[1], (KNOWN[11] * 1.2).astype(np.float32))
    assert np.abs(again.parts.latent - encoder.encode(again.parts.contour.astype(np.float64))).max() < 1e-5


def test_every_change_counts_a_version(tmp_path: Path, encoder: Encoder) -> None:
    path = tmp_path / "p.npz"
    parts.add(path, [part("a")], encoder)
    parts.add(path, [part("b")], encoder)
    assert parts.remove(path, ["own/a"], encoder).version == 3
    assert parts.read(path, encoder.digest).parts.id.tolist() == ["own/b"]


def test_a_taken_id_adds_nothing(tmp_path: Path, encoder: Encoder) -> None:
    path = tmp_path / "p.npz"
    parts.add(path, [part("a")], encoder)
    before = path.read_bytes()
    with pytest.raises(CatalogueRefused, match="own/a is there already; --replace"):
        parts.add(path, [part("new"), part("a", 1.3)], encoder)
    with pytest.raises(CatalogueRefused, match="own/c is given twice"):
        parts.add(path, [part("c"), part("c")], encoder)
    assert path.read_bytes() == before
    replaced = parts.add(path, [part("a", 1.3)], encoder, replace=True).parts
    assert np.array_equal(replaced.contour[0], (KNOWN[11] * 1.3).astype(np.float32))


def test_parts_of_another_model_are_refused_until_they_are_encoded_again(
    tmp_path: Path, encoder: Encoder, other: Model
) -> None:
    path, stranger = tmp_path / "p.npz", Encoder.of(other, KNOWN)
    parts.add(path, [part("a")], encoder)
    with pytest.raises(CatalogueRefused, match=f"belongs to model {encoder.digest[:12]}, this one is {stranger.digest[:12]}"):
        parts.add(path, [part("b")], stranger)
    made = parts.encode_again(path, stranger)
    assert (made.version, made.parts.encoder_sha256) == (2, stranger.digest)
    assert np.abs(made.parts.latent - stranger.encode(made.parts.contour.astype(np.float64))).max() < 1e-5
    parts.add(path, [part("b")], stranger)


def test_two_at_once_lose_nothing(tmp_path: Path, encoder: Encoder) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: parts.add(tmp_path / "p.npz", [part(f"n{n}")], encoder), range(24)))
    found = parts.read(tmp_path / "p.npz", encoder.digest)
    assert (found.version, sorted(found.parts.id.tolist())) == (24, sorted(f"own/n{n}" for n in range(24)))


def test_who_is_killed_leaves_the_old_parts_or_the_new(tmp_path: Path, encoder: Encoder) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.recommender.test_parts import *\n"
        "encoder = Encoder.of(Model.load(ROOT / 'model.onnx'), KNOWN)\n"
        "print('ready', flush=True)\n"
        "for n in range(10_000): parts.add(Path('p.npz'), [part(f'n{n}')], encoder)\n"
    )
    for delay in (0.05, 0.1, 0.15):
        writer = subprocess.Popen([sys.executable, "-c", code, str(ROOT)], cwd=tmp_path, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        found = parts.read(tmp_path / "p.npz", encoder.digest)
        assert len(found.parts) == found.version
        (tmp_path / "p.npz").unlink(missing_ok=True)


def test_a_full_disk_leaves_the_old_parts(tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.npz"
    parts.add(path, [part("a")], encoder)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        parts.add(path, [part("b")], encoder)
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == [".p.npz.lock", "p.npz"]


def test_a_spoilt_file_is_named(tmp_path: Path, encoder: Encoder) -> None:
    (tmp_path / "p.npz").write_bytes(b"no archive")
    with pytest.raises(CatalogueRefused, match=r"p\.npz: cannot be read as a catalogue"):
        parts.read(tmp_path / "p.npz", encoder.digest)
    np.savez(tmp_path / "q.npz", id=np.array(["a"]))
    with pytest.raises(CatalogueRefused, match=r"q\.npz: has no version"):
        parts.read(tmp_path / "q.npz", encoder.digest)


def test_a_server_sees_new_parts_at_its_next_question(tmp_path: Path, encoder: Encoder, shipped: Model) -> None:
    shed = Shed(tmp_path / "p.npz")
    assert not shed.workshop(shipped).catalogue.own.any()
    parts.add(tmp_path / "p.npz", [part("a")], encoder)
    shop = shed.workshop(shipped)
    assert (shop.version, shop.catalogue.id[shop.catalogue.own].tolist()) == (1, ["own/a"])
    assert shed.workshop(shipped) is shop
    (tmp_path / "p.npz").unlink()
    assert not shed.workshop(shipped).catalogue.own.any()


def test_after_a_model_swap_all_parts_are_in_the_new_coordinates(tmp_path: Path, encoder: Encoder, other: Model) -> None:
    parts.add(tmp_path / "p.npz", [part("a")], encoder)
    shop = Workshop.of(other, load(), Polar(), parts.read(tmp_path / "p.npz", other.digest))
    assert shop.catalogue.encoder_sha256 == other.digest
    assert np.abs(shop.catalogue.latent - shop.encoder.encode(shop.heights)).max() < 1e-4
    row = shop.catalogue.row("own/a")
    assert row is not None
    assert shop.matcher.nearest(shop.encoder.encode(shop.heights[row][None])[0, :24], 1)[0].row == row


def test_the_command_adds_lists_and_removes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.dat").write_text(dat(f"Wing {name}", KNOWN[20]))
    done = run(tmp_path, "add", "one.dat", "two.dat", "--source", "hangar")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/parts.npz: version 1, 2 parts\n")
    done = run(tmp_path, "add", "-", "--name", "three", text=dat("x", KNOWN[21]))
    assert done.returncode == 0, done.stderr
    listed = run(tmp_path, "list").stdout.splitlines()
    assert listed == [
        "version 2, 3 parts, coordinates of this model", "own/one  Wing one  (hangar)", "own/two  Wing two  (hangar)",
        "own/three  three  (own)",
    ]  # fmt: skip
    assert run(tmp_path, "remove", "own/two").returncode == 0
    assert "own/two" not in run(tmp_path, "list").stdout


def test_the_command_says_which_file_is_no_section_and_adds_none(tmp_path: Path) -> None:
    (tmp_path / "good.dat").write_text(dat("good", KNOWN[20]))
    (tmp_path / "bad.dat").write_text("bad\n1 0\n0 0\n")
    done = run(tmp_path, "add", "good.dat", "bad.dat")
    assert done.returncode == 1
    assert done.stderr == "recommender: bad.dat: outline: found 2 points, expected at least 10\n"
    assert not (tmp_path / "parts.npz").exists()


def test_the_command_says_what_it_could_not_look_at(tmp_path: Path) -> None:
    done = run(tmp_path, "add", "nowhere.dat")
    assert (done.returncode, done.stderr) == (2, "recommender: [Errno 2] No such file or directory: 'nowhere.dat'\n")
    (tmp_path / "other.onnx").write_bytes(turned())
    (tmp_path / "good.dat").write_text(dat("good", KNOWN[20]))
    assert run(tmp_path, "add", "good.dat").returncode == 0
    done = run(tmp_path, "--model", "other.onnx", "add", "good.dat")
    assert done.returncode == 1
    assert "python -m recommender encode writes its coordinates anew" in done.stderr
    assert run(tmp_path, "--model", "other.onnx", "encode").returncode == 0
    assert run(tmp_path, "list").stdout.splitlines()[0].endswith("python -m recommender encode writes them anew")
