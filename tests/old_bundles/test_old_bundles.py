"""Does every release that was ever sent keep verifying and answering, whatever has changed since? Nothing here is made anew."""

from pathlib import Path

import pytest

from serving.model import Model
from serving.release import open_model
from tests.bundle.test_signatures import by_script

SENT = sorted(path.parent for path in Path(__file__).parent.glob("*/release"))


def test_some_were_sent() -> None:
    assert SENT


@pytest.mark.parametrize("sent", SENT, ids=lambda path: path.name)
def test_it_verifies_and_answers_as_it_did(sent: Path) -> None:
    opened = open_model(sent / "release", sent / "vendor.pub", require_keys=True)
    assert opened.release is not None
    assert all(gap.passed for gap in Model.from_bytes(opened.content, opened.origin).verify().values())


@pytest.mark.parametrize("sent", SENT, ids=lambda path: path.name)
def test_the_operators_script_still_verifies_it(sent: Path, tmp_path: Path) -> None:
    key = tmp_path / "vendor.pub"
    key.write_bytes((sent / "vendor.pub").read_bytes())
    assert by_script(sent / "release", key) == ""
