"""Can somebody who got hold of the child reach the user through the files that it leaves?"""

import json
import os
from pathlib import Path

import pytest

from conversion import returned, sandbox
from conversion.errors import Refused, Unreadable
from conversion.parent import Order, convert
from tests.conversion.conftest import ROOT


def test_what_the_child_wrote_is_read(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"a": 1}')
    assert returned.document(tmp_path / "report.json") == {"a": 1}
    assert returned.content(tmp_path / "report.json", 8) == b'{"a": 1}'


def test_links_pipes_devices_and_folders_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "device", "folder", "pipe", "missing"):
        with pytest.raises(Refused, match=f"left (a|no) {name} that "):
            returned.document(tmp_path / name)


def test_a_file_that_is_larger_than_it_may_be_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "refusal.json").open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(Refused, match=r"left a refusal.json of more than 67,108,864 bytes"):
        returned.document(tmp_path / "refusal.json")


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{", b"[" * 100_000, b"1" * 10_000])
def test_what_is_no_json_object_is_a_refusal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(Refused, match=r"left a report.json that is no JSON object"):
        returned.document(tmp_path / "report.json")


def test_a_refusal_is_of_its_kind_printable_and_of_a_length_to_be_read(tmp_path: Path) -> None:
    path = tmp_path / "refusal.json"
    path.write_text(json.dumps({"kind": "Unreadable", "message": "höhe\n\x1b[2J" + "x" * 100_000}))
    said = returned.refusal(path)
    assert isinstance(said, Unreadable)
    assert str(said).startswith("höhe\n\\x1b[2Jxxx")
    assert len(str(said)) == returned.MOST_SAID
    path.write_text('{"kind": "SystemExit"}')
    assert isinstance(returned.refusal(path), Refused)


def test_a_child_that_leaves_links_gives_nothing_of_the_users_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    order = Order(ROOT / "model.pkl", tmp_path / "out" / "model.onnx", example=tmp_path / "out" / "example.json")
    order.output.parent.mkdir()

    def caught(module: str, arguments: list[str], folder: Path, limits: sandbox.Limits) -> list[str]:
        (folder / "model.onnx").write_bytes((ROOT / "model.onnx").read_bytes())
        (folder / "report.json").write_text("{}")
        (folder / "example.json").symlink_to(secret)
        return []

    monkeypatch.setattr("conversion.parent.run", caught)
    with pytest.raises(Refused, match=r"left no example.json that can be read"):
        convert(order)
    assert list(order.output.parent.iterdir()) == []
