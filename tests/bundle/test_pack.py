"""Does a bundle hold what it says, in forms that others read?"""

import io
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bundle import pack, parity_page, provenance, release, sbom
from bundle.release import Faulty
from serving.errors import ModelRefused
from serving.model import Model
from serving.release import Release
from tests.serving import graphs

ROOT = Path(__file__).resolve().parents[2]
WHEN = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
IMAGE = "sha256:" + "ab" * 32
LISTED = "deb libc6 2.36-9+deb12u10\ngeneric python 3.12.1\npypi numpy 2.4.6\n"


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load(ROOT / "model.onnx")


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "numpy-2.4.6-cp312-cp312-manylinux.whl").write_bytes(b"wheel")
    return tmp_path / "wheels"


def write(folder: Path, **more: Any) -> Model:
    given: dict[str, Any] = {"name": "encoder", "number": 3, "expires": None, **more}
    given = {"model": ROOT / "model.onnx", "example": ROOT / "example.json"} | given
    return release.write(folder, given["model"], given["example"], given["name"], given["number"], WHEN, given["expires"])


def test_a_release_is_numbered_and_names_its_model(tmp_path: Path) -> None:
    made = write(tmp_path / "r", expires="2027-12-31")
    said = Release.from_json((tmp_path / "r" / "release.json").read_bytes(), "r")
    assert (said.name, said.number, said.digest, said.created) == ("encoder", 3, made.digest, WHEN)
    assert said.expires == datetime(2027, 12, 31, tzinfo=UTC)
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["example.json", "model.onnx", "release.json"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"number": 0}, "--number 0"), ({"name": "a/b"}, "--name 'a/b'"), ({"expires": "soon"}, "--expires 'soon'"),
     ({"expires": "2027-13-01"}, "--expires '2027-13-01'")],
)  # fmt: skip
def test_an_order_that_makes_no_sense_leaves_no_folder(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    with pytest.raises(Faulty, match=expected):
        write(tmp_path / "r", **change)
    assert not (tmp_path / "r").exists()


def test_an_example_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(graphs.linear())
    with pytest.raises(Faulty, match="is of model"):
        write(tmp_path / "r", model=tmp_path / "other.onnx")


def test_a_model_that_does_not_hold_here_is_not_released(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelRefused):
        write(tmp_path / "r", model=tmp_path / "m.onnx")


def test_the_bill_of_materials_is_valid_and_names_the_model(model: Model, wheels: Path) -> None:
    bill = sbom.document(LISTED, wheels, model, "encoder", 3, release.stamp(WHEN), IMAGE)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    components = {component["bom-ref"]: component for component in bill["components"]}
    assert set(components) == {
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10",
        "pkg:generic/python@3.12.1",
        "pkg:pypi/numpy@2.4.6",
        "model",
    }
    assert components["model"]["type"] == "machine-learning-model"
    assert components["model"]["hashes"] == [{"alg": "SHA-256", "content": model.digest}]
    assert components["pkg:pypi/numpy@2.4.6"]["hashes"][0]["content"] == release.digest_of(next(wheels.iterdir()))


def test_the_provenance_leads_from_the_pickle_to_the_page(model: Model, tmp_path: Path) -> None:
    (tmp_path / "parity.html").write_text("page")
    said = provenance.statement(
        model, IMAGE, "c0ffee", [ROOT / "requirements.txt"], tmp_path / "parity.html", release.stamp(WHEN), 3
    )
    digests = {one["name"]: one["digest"] for one in said["subject"]}
    assert digests["model.onnx"] == {"sha256": model.digest}
    assert digests["image"] == {"sha256": "ab" * 32}
    assert digests["parity.html"] == {"sha256": release.digest_of(tmp_path / "parity.html")}
    sources = {one["name"]: one["digest"] for one in said["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert sources["model.pkl"] == {"sha256": release.digest_of(ROOT / "model.pkl")}
    assert sources["source"] == {"gitCommit": "c0ffee"}


def test_the_page_says_what_was_compared_and_needs_nothing_from_elsewhere(model: Model) -> None:
    page = parity_page.render(model, model.verify(), "en<c>oder", 3)
    assert "en&lt;c&gt;oder, release 3" in page
    assert model.digest in page
    assert "bounded" in page
    assert not any(word in page for word in ("http://", "https://", "<script", "src="))


def saved(path: Path, *, components: bool = True) -> Path:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as out:
        _put(out, "components.txt" if components else "else.txt", LISTED.encode())
    config = json.dumps({"architecture": "amd64"}).encode()
    with tarfile.open(path, "w") as out:
        _put(out, f"{'ab' * 32}.json", config)
        _put(out, "l/layer.tar", layer.getvalue())
        _put(out, "manifest.json", json.dumps([{"Config": f"{'ab' * 32}.json", "Layers": ["l/layer.tar"]}]).encode())
    return path


def _put(out: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    out.addfile(member, io.BytesIO(content))


def test_a_bundle_holds_all_that_a_site_needs(tmp_path: Path, wheels: Path) -> None:
    folder = tmp_path / "encoder-3"
    write(folder / "model")
    image = pack.Image.read(saved(tmp_path / "image.tar"))
    pack.fill(folder, image, "encoder", 3, WHEN, wheels, "c0ffee")
    assert {path.name for path in folder.iterdir()} == {
        "INSTALL.txt", "bundle.json", "deploy.sh", "image.tar.gz", "model", "parity.html", "provenance.json", "sbom.cdx.json",
        "verify.sh",
    }  # fmt: skip
    said = json.loads((folder / "bundle.json").read_text())
    assert (said["image"], said["architecture"], said["number"]) == (IMAGE, "amd64", 3)
    assert "tar -xf encoder-3.tar" in (folder / "INSTALL.txt").read_text()


def test_the_same_folder_makes_the_same_archive_whoever_owns_it(tmp_path: Path) -> None:
    folder = tmp_path / "a-1"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "x").write_text("x")
    (folder / "run.sh").write_text("y")
    pack.archive(folder, tmp_path / "one.tar", 1000)
    (folder / "below" / "x").chmod(0o600)
    pack.archive(folder, tmp_path / "two.tar", 1000)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as read:
        assert [(m.name, m.mode, m.uid, m.mtime) for m in read] == [
            ("a-1", 0o755, 0, 1000), ("a-1/below", 0o755, 0, 1000), ("a-1/below/x", 0o644, 0, 1000),
            ("a-1/run.sh", 0o755, 0, 1000),
        ]  # fmt: skip
    assert not list(tmp_path.glob("*.part"))


def test_an_image_that_does_not_say_what_it_is_made_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Faulty, match=r"holds no components\.txt"):
        pack.Image.read(saved(tmp_path / "image.tar", components=False))
