"""Do the documents speak of what is there?"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# What a user names or makes, and is not in the checkout.
NOT_OURS = {"my_model.pkl", "my_model.onnx", "expected.json", "case.json", "rows.parquet", "pickle.py", "report.json"}
# What a bundle holds, and what a site keeps.
NOT_OURS |= {"INSTALL.txt", "bundle.json", "model", "provenance.json", "release.json", "sbom.cdx.json", "trust"}

# What a run over whole tables leaves.
NOT_OURS |= {"manifest.json", "_SUCCESS.json"}


def named(document: Path) -> set[str]:
    """Everything in backticks that looks like a path of this repository."""
    words = {word for quoted in re.findall(r"`([^`\n]+)`", document.read_text()) for word in quoted.split()}
    suffix = r"\.(py|md|pkl|onnx|json|toml|txt|csv|npz|svg|in|sh)$"
    paths = (word for word in words if word.strip("/") and re.fullmatch(r"[\w./*-]+", word))
    return {path.rstrip("/") for path in paths if "/" in path or re.search(suffix, path)}


def is_here(name: str) -> bool:
    name = name.removeprefix("./")
    return bool(list(ROOT.glob(name)) or list(ROOT.glob(f"*/{name}")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    places = {path.name for path in ROOT.iterdir()} | {"."}
    paths = {name for name in named(document) if name.removeprefix("./").split("/")[0] in places or "/" not in name}
    missing = {name for name in paths - NOT_OURS if not is_here(name)}
    assert not missing


def test_every_decision_is_numbered_once() -> None:
    numbers = [path.name[:4] for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == [f"{i:04d}" for i in range(1, len(numbers) + 1)]


def test_the_readmes_first_commands_are_the_newcomers_two() -> None:
    fence = (ROOT / "README.md").read_text().split("```")[1]
    assert [line.split("#")[0].strip() for line in fence.strip().splitlines()] == ["scripts/serve", "scripts/test"]


@pytest.mark.parametrize("entry", ["convert.py", "client.py", "server.py"])
def test_every_entry_point_explains_its_flags(entry: str) -> None:
    done = subprocess.run([sys.executable, entry, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    flags = re.findall(r"^  (?:-\w, )?(?:-o|--[\w-]+)[^\n]*(?:\n {10,}[^\n]*)?", done.stdout, re.MULTILINE)
    assert flags
    for flag in flags:
        assert re.search(r"  +\S+", flag.strip()), f"{flag!r} says nothing"


def test_the_changelog_has_the_version_that_is_built() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()
