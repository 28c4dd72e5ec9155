"""Does a customer see the figures and the outbox, whatever there is to see?"""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from serving.model import Model
from serving.settings import Settings
from serving.telemetry import status_page, tally
from serving.telemetry.outbox import Outbox
from serving.telemetry.status_page import Seen, render
from serving.telemetry.store import HOUR_S, Store, Window
from tests.serving.telemetry import sites
from tests.serving.telemetry.sites import HOUR, NO_BINS, tallied

MODEL = Model.from_bytes(sites.model_with_bins())


class Balanced(HTMLParser):
    """Raises where a tag is closed that is not open."""

    VOID = frozenset(("meta", "line", "rect"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def page(windows: list[Window], **more: object) -> str:
    seen = Seen(HOUR, windows, {}, [], **more)  # type: ignore[arg-type]
    text = render(seen, Settings(), MODEL.reference, MODEL.digest)
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    return text


def window(shift: float, rows: int = 500, **outcomes: int) -> Window:
    assert MODEL.reference is not None
    feeds = {"X": sites.rows(rows, 9, shift)}
    return Window(HOUR, MODEL.digest, None, tallied(**outcomes), MODEL.reference.histograms.count(feeds, MODEL.run(feeds)))


def test_a_server_nobody_asked_says_so() -> None:
    text = page([])
    assert "was not asked" in text
    assert "Not enough data" in text
    assert "It is empty" in text


def test_requests_by_outcome_and_their_times() -> None:
    text = page([window(0.0, answered=900, invalid_input=100)])
    assert "1,000 requests" in text
    assert "10.00%" in text
    assert "50% within 2.5 ms" in text


def test_rows_like_the_vendors_are_called_so_and_others_are_not() -> None:
    assert "no column of 500 rows differs" in page([window(0.0)])
    assert "Shifted" in page([window(1.0)])


def test_trouble_stands_on_top() -> None:
    assert "Counts cannot be written: disk full" in page([], problem="disk full")


def test_a_model_without_bins_says_so() -> None:
    text = render(Seen(HOUR, [], {}, []), Settings(), None, None)
    assert "carries no bins" in text


def test_counts_of_another_shape_are_left_out() -> None:
    text = page([Window(HOUR, MODEL.digest, None, tallied(answered=10), np.ones(3, np.int64))])
    assert "Not enough data" in text


def test_the_outbox_is_on_the_page_and_a_spoilt_file_is_named(tmp_path: Path) -> None:
    store, outbox = Store(tmp_path), Outbox(tmp_path)
    for hour in (HOUR, HOUR + 1):
        with store.change():
            store.add({(hour, MODEL.digest): (tallied(answered=10), NO_BINS)})
        outbox.make(store, 5, (hour + 1) * HOUR_S)
    outbox.find(2).path.write_text("<script>spoilt</script>")
    text = status_page.page(Settings(state=tmp_path), MODEL.reference, MODEL.digest, None)
    assert "waiting" in text
    assert "cannot be read: is no JSON" in text
    assert "<script" not in text


@pytest.mark.parametrize("what", ["script", "style=", "http-equiv=.content", "src=", "onclick"])
def test_nothing_on_it_needs_more_than_the_policy_allows(what: str) -> None:
    text = page([window(1.0, answered=900)])
    assert not re.search(f"<{what}|\\s{what}", text)
    assert "default-src 'none'" in status_page.HEADERS["content-security-policy"]


def test_every_outcome_of_a_request_has_a_place() -> None:
    counts = np.arange(1, tally.SIZE + 1)
    assert tally.place(tally.describe(counts)) == counts.tolist()
