"""Does a catalogue that a batch filled and LanceDB keeps answer as exact search does, and hurt nothing when it cannot?"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender import large
from recommender.catalogue import SHAPE, load
from recommender.contour import STATIONS, Array
from recommender.matching import laid
from recommender.search import Index
from recommender.workshop import NEAR, Workshop
from tests.batch import working
from tests.batch.bucket import NAME, moto
from tests.recommender.conftest import ROOT, turned
from tests.serving.asking import Running, Start
from tests.serving.conftest import start as start
from tests.serving.test_no_egress import FILTERED

KNOWN = load().contour.astype(np.float64)
SIZE, WAIT_S = 3000, 60
# A quote and a space, as people have them in part numbers.
NAMES = [f"wing {i}'s" for i in range(SIZE)]
MODEL = ROOT / "model.onnx"


@pytest.fixture(scope="session")
def python() -> str:
    """Of an environment that has lancedb."""
    subprocess.run([ROOT / "scripts" / "tool", "lance"], check=True)
    return str(ROOT / ".venv-lance" / "bin" / "python")


@pytest.fixture(scope="session")
def sections() -> Array:
    """Mixtures of two sections of the public catalogue each."""
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, len(KNOWN), (2, SIZE))
    share = rng.uniform(0.0, 1.0, (SIZE, 1))
    return np.asarray(KNOWN[first] * share + KNOWN[second] * (1.0 - share))


@pytest.fixture(scope="session")
def answered(sections: Array, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a batch makes of them, in several parts."""
    folder = tmp_path_factory.mktemp("batch")
    columns = {"part": pa.array(NAMES), "contour": pa.FixedSizeListArray.from_arrays(pa.array(sections.ravel()), 130)}
    pq.write_table(pa.table(columns), folder / "sections.parquet", row_group_size=1000)
    working.encode(MODEL, folder / "sections.parquet", folder / "out", id="part", shard_rows=1000)
    return folder / "out"


@pytest.fixture(scope="session")
def indexed(python: str, answered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    address = tmp_path_factory.mktemp("catalogue") / "parts"
    done = index(python, answered, address)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{address}: {SIZE:,} parts\n"
    assert done.stderr == ""
    return address


def index(
    python: str, answered: Path, address: Path | str, model: Path = MODEL, store: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    kept = {key: value for key, value in os.environ.items() if not key.startswith("UNJAR_")} | dict(store or {})
    command = [python, "-m", "recommender", "--model", str(model), "index", str(answered), "--to", str(address)]
    return subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False, timeout=WAIT_S)


@pytest.fixture(scope="session")
def running(start: Start, python: str, indexed: Path) -> Running:
    """Killed by the kernel if it connects to anything."""
    return start(MODEL.read_bytes(), name="model", before=FILTERED, python=python, UNJAR_CATALOGUE=str(indexed))


@pytest.fixture
def web(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=WAIT_S) as client:
        yield client


def ask(web: httpx.Client, path: str, **body: Any) -> Any:
    answer = web.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def nothing_was_tried(running: Running) -> None:
    text = httpx.get(f"{running.url}/metrics").text
    counted = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith("unjar_guard_refused_total{")]
    assert [float(value) for value in counted] == [0.0] * 3, text
    assert not [event for event in running.events() if event["event"].endswith("_refused")]
    assert all(line.startswith("{") for line in running.log.read_text().splitlines())


def test_the_nearest_are_those_that_exact_search_finds(
    web: httpx.Client, running: Running, shop: Workshop, sections: Array
) -> None:
    shapes = shop.encoder.encode(sections)[:, :SHAPE]
    names = [*shop.catalogue.id.tolist(), *(large.PREFIX + name for name in NAMES)]
    exact = Index(laid(np.vstack([shop.shapes, shapes.astype(np.float32)]), shop.encoder))
    rng = np.random.default_rng(6)
    for row in rng.integers(0, SIZE, 20):
        heights = sections[row] + 0.002 * np.tile(np.sin(rng.uniform(1, 9) * STATIONS), 2)
        said = ask(web, "/v1/similar", shape={"heights": heights.tolist()}, k=10)
        assert said["searched"] == len(names)
        # A cut part may come between; here those that are whole count.
        found = [(one["id"], one["distance"]) for one in said["parts"] if one["matched"] == "as drawn"]
        rows, distances = exact.nearest(laid(shop.encoder.encode(heights[None])[0, :SHAPE], shop.encoder), len(found))
        assert [name for name, _ in found] == [names[i] for i in rows]
        assert [distance for _, distance in found] == pytest.approx(distances.tolist(), abs=1e-3)
    nothing_was_tried(running)


def test_a_part_that_was_found_is_known_by_its_id(web: httpx.Client, sections: Array) -> None:
    found = ask(web, "/v1/similar", shape={"heights": sections[17].tolist()}, k=1)["parts"][0]
    assert found["id"] == "large/wing 17's"
    assert found["distance"] < 1e-3
    assert (found["name"], found["source"], found["own"]) == ("wing 17's", "parts", True)
    part = web.get("/v1/catalogue/large/wing 17's").json()
    # As near as 24 coordinates tell a shape.
    assert np.sqrt(np.mean((np.array(part["heights"]) - sections[17]) ** 2)) < 0.001
    assert part["dat"].startswith("wing 17's\n")
    assert ask(web, "/v1/encode", shape={"part": found["id"]})["latent"] == pytest.approx(part["latent"], abs=1e-3)
    assert web.get("/v1/catalogue/large/wing 99999").status_code == 404
    assert web.get("/v1/catalogue/large/' OR id LIKE '%").status_code == 404


def test_better_parts_are_looked_for_among_those_nearest_too(web: httpx.Client, running: Running, sections: Array) -> None:
    said = ask(web, "/v1/recommend", shape={"heights": sections[17].tolist()}, requirements={"lift": 0.6}, k=5)
    assert len(KNOWN) + 100 < said["scored"] <= len(KNOWN) + NEAR
    assert said["nearest"][0]["id"] == "large/wing 17's"
    kinds = {one["id"].startswith(large.PREFIX) for one in said["better"]}
    assert True in kinds
    nothing_was_tried(running)


def test_many_who_ask_at_once_hear_what_one_hears_alone(web: httpx.Client, sections: Array) -> None:
    def nearest(row: int) -> Any:
        return ask(web, "/v1/similar", shape={"heights": sections[row].tolist()}, k=5)

    alone = [nearest(row) for row in range(24)]
    with ThreadPoolExecutor(8) as several:
        assert list(several.map(nearest, range(24))) == alone


def test_what_another_model_answered_or_has_not_ended_is_not_indexed(python: str, answered: Path, tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(turned())
    done = index(python, answered, tmp_path / "parts", tmp_path / "other.onnx")
    assert done.returncode == 1
    assert f"was answered by model {json.loads((answered / '_SUCCESS.json').read_text())['model'][:12]}" in done.stderr
    shutil.copytree(answered, tmp_path / "out")
    (tmp_path / "out" / "_SUCCESS.json").unlink()
    done = index(python, tmp_path / "out", tmp_path / "parts")
    assert (done.returncode, "has no _SUCCESS.json" in done.stderr) == (1, True)
    assert not (tmp_path / "parts").exists()


def unusable(running: Running) -> str:
    """Says why the catalogue cannot be searched, and that everything else goes on."""
    with httpx.Client(base_url=running.url, timeout=WAIT_S) as web:
        refusals = [web.post(path, json={"shape": {"part": "naca2412"}}) for path in ("/v1/similar", "/v1/recommend")]
        for answer in refusals:
            assert answer.status_code == 409, answer.text[:300]
        ask(web, "/v1/encode", shape={"part": "naca2412"})
        assert web.get("/v1/catalogue").json()["count"] == len(KNOWN)
        asked = json.loads((ROOT / "example.json").read_text())["inputs"]
        ask(web, "/v2/models/model/infer", inputs=asked)
    nothing_was_tried(running)
    return str(refusals[0].json()["error"])


def test_another_models_catalogue_is_refused_and_all_else_is_answered(start: Start, python: str, indexed: Path) -> None:
    running = start(turned(), name="model", python=python, UNJAR_CATALOGUE=str(indexed))
    with httpx.Client(base_url=running.url, timeout=WAIT_S) as web:
        answer = web.post("/v1/similar", json={"shape": {"part": "naca2412"}})
        assert answer.status_code == 409
        assert "parts: belongs to model" in answer.json()["error"]
        ask(web, "/v1/encode", shape={"part": "naca2412"})


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_catalogue_that_is_absent_damaged_repaired_or_replaced_never_hurts_the_rest(
    start: Start, python: str, indexed: Path, answered: Path, tmp_path: Path
) -> None:
    address = tmp_path / "parts"
    running = start(MODEL.read_bytes(), name="model", python=python, UNJAR_CATALOGUE=str(address))
    assert f"{address}: cannot be opened: found no catalogue.json" in unusable(running)
    for hurt in (shortened, changed, Path.unlink):
        for name in ("catalogue.json", "*/data/*", "*/_indices/*/*", "*/_versions/*.manifest"):
            shutil.copytree(indexed, address)
            hurt(next(address.glob(name)))
            assert f"{address}: cannot be opened: " in unusable(running)
            shutil.rmtree(address)
    shutil.copytree(indexed, address)
    with httpx.Client(base_url=running.url, timeout=WAIT_S) as web:
        assert ask(web, "/v1/similar", shape={"part": "naca2412"})["searched"] == len(KNOWN) + SIZE
        done = json.loads((answered / "_SUCCESS.json").read_text())
        shutil.copytree(answered, tmp_path / "first")
        first = done | {"files": dict(list(done["files"].items())[:1])}
        (tmp_path / "first" / "_SUCCESS.json").write_text(json.dumps(first))
        assert index(python, tmp_path / "first", address).returncode == 0
        assert ask(web, "/v1/similar", shape={"part": "naca2412"})["searched"] == len(KNOWN) + SIZE // 3
        assert len(list(address.glob("*.lance"))) == 2
        assert index(python, tmp_path / "first", address).returncode == 0
        assert len(list(address.glob("*.lance"))) == 2
    nothing_was_tried(running)


def test_a_catalogue_in_an_object_store_answers_as_on_a_disk(
    start: Start, python: str, answered: Path, web: httpx.Client, sections: Array
) -> None:
    address = f"s3://{NAME}/shelf/parts"
    with moto() as port:
        endpoint = f"http://127.0.0.1:{port}"
        # LanceDB reads the first of the endpoints, pyarrow the second.
        store = {"AWS_ENDPOINT": endpoint, "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
        store |= {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
        done = index(python, answered, address, store=store)
        assert (done.returncode, done.stdout) == (0, f"{address}: {SIZE:,} parts\n"), done.stderr
        running = start(MODEL.read_bytes(), name="model", python=python, UNJAR_CATALOGUE=address, **store)
        with httpx.Client(base_url=running.url, timeout=WAIT_S) as afar:
            for row in (3, 300, 2999):
                question = {"shape": {"heights": sections[row].tolist()}, "k": 5}
                assert ask(afar, "/v1/similar", **question) == ask(web, "/v1/similar", **question)
            assert afar.get("/v1/catalogue/large/wing 17's").status_code == 200
        nothing_was_tried(running)


def test_without_lancedb_the_server_says_what_to_install(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("UNJAR_")}
    environment |= {"UNJAR_CATALOGUE": str(tmp_path / "parts"), "UNJAR_MODEL": str(MODEL), "UNJAR_PORT": "0"}
    for more in ({}, {"UNJAR_PROCESSES": "2"}):
        done = subprocess.run(
            [sys.executable, "server.py"], cwd=ROOT, env=environment | more, capture_output=True, text=True, timeout=WAIT_S
        )
        assert done.returncode == 2
        assert "needs lancedb, which is not installed; pip install -r requirements/lance.txt" in done.stderr
    done = index(sys.executable, tmp_path, tmp_path / "parts")
    assert (done.returncode, "needs lancedb" in done.stderr) == (2, True)
