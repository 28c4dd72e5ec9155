"""Is a folder of .dat outlines answered as the server answers each, and is the manifest right however many there are?"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from batch.contours import BYTES_MAX, ROWS
from batch.errors import Hopeless
from batch.manifest import settle
from batch.places import Place
from batch.shard import Shards
from batch.sources import Asked, plan
from serving.model import Model
from tests.batch.working import LIMIT_S, ROOT, answers, encode, numbers, parquet, refused, run, vectors, verified
from tests.recommender.sections import NACA0012, NACA4412, naca, text_of
from tests.serving.asking import Running, Start
from tests.serving.conftest import start as start

ENCODER = ROOT / "model.onnx"
MANY = 10_000
GOOD = {
    "deep/thick": "thick\n" + text_of(naca(0.02, 0.4, 0.2)),
    "naca0012": "NACA 0012\n" + text_of(NACA0012),
    "naca4412": "NACA 4412\r\n" + text_of(1000 * NACA4412 + 7).replace("\n", "\r\n"),
    "turned": text_of(NACA4412[::-1] @ [[0.8, 0.6], [-0.6, 0.8]]),
}
BAD = {
    "few": ("few\n1 0\n0 0\n", "outline: found 2 points, expected at least 10"),
    "long": ("#" * (BYTES_MAX + 1), f"outline: found more than {BYTES_MAX:,} bytes, expected the points of one section"),
    "plate": (text_of(NACA0012 * [1.0, 0.1]), "outline: found 1.2% of chord thick, expected 3% to 35%"),
}


@pytest.fixture
def given(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name, text in {**GOOD, **{name: text for name, (text, _) in BAD.items()}}.items():
        (tmp_path / "in" / f"{name}.dat").write_bytes(text.encode())
    return tmp_path / "in"


def ask(running: Running, text: str) -> dict[str, Any]:
    said: dict[str, Any] = httpx.post(f"{running.url}/v1/encode", json={"shape": {"dat": text}}, timeout=LIMIT_S).json()
    return said


def test_each_outline_has_the_coordinates_or_the_refusal_that_the_server_gives_it(
    given: Path, tmp_path: Path, start: Start
) -> None:
    told = run("encode", given, tmp_path / "out", "--model", ENCODER, "--shard-rows", 2)
    assert told.returncode == 0, told.stderr
    assert "7 rows in, 4 answered, 3 in quarantine" in told.stdout
    found = answers(tmp_path / "out")
    output = Model.load(ENCODER).signature.outputs[0].name
    assert found.column("id").to_pylist() == sorted(GOOD)
    running = start(ENCODER.read_bytes(), name="model")
    for name, vector in zip(found.column("id").to_pylist(), found.column(output).to_pylist(), strict=True):
        assert np.allclose(vector, ask(running, GOOD[name])["latent"], rtol=0, atol=2e-6)
    names = sorted([*GOOD, *BAD])
    assert refused(tmp_path / "out") == [(name, f"{name}.dat", names.index(name), BAD[name][1]) for name in sorted(BAD)]
    for name in ("few", "plate"):
        assert ask(running, BAD[name][0])["error"] == BAD[name][1]
    assert not verified(given, tmp_path / "out").faults


def test_a_single_file_is_a_folder_of_one(given: Path, tmp_path: Path) -> None:
    encode(ENCODER, given / "naca4412.dat", tmp_path / "out")
    assert answers(tmp_path / "out").column("id").to_pylist() == ["naca4412"]
    assert not verified(given / "naca4412.dat", tmp_path / "out").faults


def test_an_outline_that_changes_comes_or_goes_is_told_by_its_name(given: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    encode(ENCODER, given, out, shard_rows=3)

    def faults() -> list[str]:
        return [fault for fault in verified(given, out).faults if fault.startswith("IN")]

    def refusal(rows: int = 3) -> str:
        with pytest.raises(Hopeless) as raised:
            encode(ENCODER, given, out, shard_rows=rows)
        return str(raised.value)

    assert "was begun with 3 shards, this has 2" in refusal(4)
    kept = (given / "few.dat").read_bytes()
    (given / "few.dat").write_bytes(kept + b"#")
    assert faults() == ["IN deep/thick.dat to long.dat: has changed since the run"]
    assert "was begun with another state of input 'deep/thick.dat'" in refusal()
    (given / "aaa.dat").write_bytes(kept)
    assert "IN aaa.dat: is not in the manifest" in faults()
    assert "was begun without input 'aaa.dat', which is there now" in refusal()
    (given / "aaa.dat").unlink()
    (given / "naca0012.dat").unlink()
    assert "IN naca0012.dat: is gone" in faults()
    assert "was begun with input 'naca0012.dat', which is gone" in refusal()


def test_an_outline_that_changes_while_it_runs_is_refused(given: Path, tmp_path: Path) -> None:
    source, names = Place.of(str(given)).inputs()
    model, out = Model.load(ENCODER), Place.of(str(tmp_path / "out"))
    manifest = plan(source, names, model.signature, Asked(), model.digest)
    settle(manifest, out)
    (given / "naca0012.dat").write_text("NACA 4412\n" + text_of(NACA4412))
    with pytest.raises(Hopeless, match=r"one of deep/thick\.dat to turned\.dat has changed since"):
        Shards(manifest, model, source, out).encode(manifest.units[0])
    assert out.names() == ["manifest.json"]


def test_other_models_and_columns_are_refused_before_anything_is_written(linear: Path, given: Path, tmp_path: Path) -> None:
    told = run("encode", given, tmp_path / "out", "--model", linear)
    assert told.returncode == 1
    assert "this model is none: it takes [(-1, 3)] and gives [(-1, 2)], expected (-1, 130)" in told.stderr
    for asked in ({"id": "name"}, {"columns": ("x", "y")}):
        with pytest.raises(Hopeless, match=r"their ids are their names without \.dat"):
            encode(ENCODER, given, tmp_path / "out", **asked)
    (given / "few.DAT").write_text("few")
    with pytest.raises(Hopeless, match="two files are named 'few'"):
        encode(ENCODER, given, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_manifest_of_many_outlines_is_small_and_complete(tmp_path: Path) -> None:
    for folder in range(100):
        (tmp_path / "in" / f"{folder:02}").mkdir(parents=True)
    for number in range(MANY):
        (tmp_path / "in" / f"{number % 100:02}" / f"{number:06}.dat").touch()
    model = Model.load(ENCODER)
    source, names = Place.of(str(tmp_path / "in")).inputs()
    manifest = plan(source, names, model.signature, Asked(), model.digest)
    assert [name for file in manifest.files for name in file.names] == names
    assert len(manifest.units) == -(-MANY // ROWS)
    assert [unit.first for unit in manifest.units] == list(range(0, MANY, ROWS))
    assert manifest.rows == sum(unit.rows for unit in manifest.units) == MANY
    assert len(manifest.content) < 30 * MANY
    assert manifest.from_bytes(manifest.content, "") == manifest
    # One outline more in the last part leaves all other parts what they were.
    (tmp_path / "in" / "99" / "more.dat").touch()
    more = plan(source, Place.of(str(tmp_path / "in")).inputs()[1], model.signature, Asked(), model.digest)
    same = [one for one in zip(manifest.units, more.units, strict=True) if manifest.name(one[0]) == more.name(one[1])]
    assert len(same) == len(manifest.units) - 1


def test_tables_load_no_recommender(linear: Path, tmp_path: Path) -> None:
    given, out = parquet(tmp_path / "a.parquet", {"X": vectors(numbers(5))}), tmp_path / "out"
    code = f"""if True:
        import sys
        from pathlib import Path
        from tests.batch.working import LIMIT_S, ROOT, answers, encode, numbers, parquet, refused, run, vectors, verified
        encode(Path({str(linear)!r}), Path({str(given)!r}), Path({str(out)!r}))
        assert not verified(Path({str(given)!r}), Path({str(out)!r})).faults
        print([name for name in sys.modules if name.startswith("recommender")])
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
