"""Is every malicious pickle refused before anything of it runs, and told where?"""

import os
import pickle
import pickletools
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from conversion.errors import Refused, Unreadable
from conversion.load import load
from tests.conversion.malicious import NAMES, STREAMS, called, named, stream, text

FORBIDDEN = ("os.", "subprocess.", "socket.", "shutil.", "tempfile.", "ctypes.", "webbrowser.", "urllib.", "sqlite3.")
_seen: list[str] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is None:
        return
    writes = event == "open" and isinstance(arguments[1], str) and arguments[1][:1] in "wax"
    if writes or (event.startswith(FORBIDDEN) and event not in ("os.listdir", "os.scandir")):
        _seen.append(event)


sys.addaudithook(_audit)


def refused(content: bytes, mark: Path) -> str:
    """What is said; and nothing was opened, started or imported but the libraries that models are made of."""
    global _seen
    before, _seen = set(sys.modules), []
    try:
        with pytest.raises((Refused, Unreadable)) as said:
            load(content)
        assert _seen == []
    finally:
        _seen = None
    assert not mark.exists()
    assert str(mark) not in os.environ
    assert {name.split(".")[0] for name in set(sys.modules) - before} <= {"sklearn", "numpy", "scipy", "encodings"}
    return str(said.value)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "the payload ran"


def byte_in(said: str) -> int:
    found = re.search(r" at byte (\d+)", said)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize(("module", "name"), NAMES, ids=map(".".join, NAMES))
def test_a_name_that_no_model_needs_is_refused_with_its_byte(module: str, name: str, mark: Path) -> None:
    content = stream(called(module, name, text(str(mark)), text("w")))
    said = refused(content, mark)
    assert "no scikit-learn model needs" in said
    assert name in said or module == "__builtin__"
    assert content[byte_in(said)] == pickle.STACK_GLOBAL[0]


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_that_no_model_makes_is_refused_with_its_cause(kind: str, mark: Path) -> None:
    make, said = STREAMS[kind]
    assert re.search(said, refused(make(str(mark)), mark))


@pytest.mark.parametrize("kind", ["INST", "OBJ", "NEWOBJ", "protocol 0, GLOBAL", "an instance is called", "a class is changed"])
def test_the_byte_is_where_the_refused_opcode_begins(kind: str, mark: Path) -> None:
    content = STREAMS[kind][0](str(mark))
    byte = byte_in(refused(content, mark))
    opcodes = {position: opcode.name for opcode, _, position in pickletools.genops(content)}
    assert opcodes[byte] in {"GLOBAL", "STACK_GLOBAL", "INST", "REDUCE", "BUILD"}


def test_a_long_name_is_cut_before_it_is_said(mark: Path) -> None:
    assert len(refused(stream(named("os", "x" * 100_000)), mark)) < 1000
