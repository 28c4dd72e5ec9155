"""Do the page's files keep the house's rules: no build, no other origin, nothing inline, small?"""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[3] / "recommender" / "web"
FILES = sorted(WEB.iterdir())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]


class Tags(HTMLParser):
    """Every tag with its attributes, and the text inside script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in ("script", "style"):
            self.inline += data.strip()


@pytest.fixture(scope="module")
def tags() -> Tags:
    return Tags((WEB / "index.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_at_most_350_lines_of_128(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 350
    assert max(len(line) for line in lines) <= 128


def test_nothing_is_inline(tags: Tags) -> None:
    assert tags.inline == ""
    assert [(tag, key) for tag, attributes in tags.found for key in attributes if key == "style" or key.startswith("on")] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_names_another_origin(path: Path) -> None:
    named = re.findall(r"https?://[^\s\"'`)<]+", path.read_text(encoding="utf-8"))
    assert set(named) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_text_never_becomes_markup_or_code(path: Path) -> None:
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.cssText"
    assert not re.search(ways, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_module_begins_with_the_question_that_it_answers(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r"// .*[?:.;].*", first)
    assert "?" in path.read_text(encoding="utf-8").split("\n\n")[0]


def test_every_module_is_reached_from_main() -> None:
    reached, waiting = set(), {"main.js"}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= set(re.findall(r'from "\./([\w-]+\.js)"', (WEB / name).read_text())) - reached
    assert reached == {path.name for path in SCRIPTS}


def test_every_id_that_a_module_asks_for_is_in_the_page(tags: Tags) -> None:
    ids = {attributes.get("id") for _, attributes in tags.found}
    asked = {name for path in SCRIPTS for name in re.findall(r'\$\("([\w-]+)"\)', path.read_text())}
    assert asked - ids == set()
