import re
from collections import Counter

import numpy as np
import pytest

from recommender.catalogue import load
from training.sources import WHITELIST, Source, whitelist

SOURCES = {"NACA", "NASA", "USA", "RAF", "NPL", "Clark", "Göttingen"}
# Drela's AG, JX, Siegmann's HS, Hepperle's MH, and traps that share a prefix with a family we use.
EXCLUDED = re.compile(r"(ag\d|jx|hs|mh|ms[123][^1]|ms3\d+gp|ms5|sc1|sc2110|nl[r7]|nm|nn|m7372|m77|us1000|usnps)", re.IGNORECASE)


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return whitelist()


def test_every_row_says_where_it_is_from_and_why_it_may_be_used(sources: list[Source]) -> None:
    assert {source.source for source in sources} == SOURCES
    assert all(source.name and source.family and len(source.why) > 20 for source in sources)


def test_no_file_is_listed_twice(sources: list[Source]) -> None:
    assert max(Counter(source.file for source in sources).values()) == 1


@pytest.mark.parametrize(
    "trap", ["ag24.dat", "jx-gs-04.dat", "hs1404.dat", "mh32.dat", "ms313gpv.dat", "sc2110.dat", "hsnlf213.dat"]
)
def test_the_pattern_of_excluded_families_knows_its_traps(trap: str) -> None:
    assert EXCLUDED.match(trap)


def test_no_excluded_family_is_listed(sources: list[Source]) -> None:
    assert [source.file for source in sources if EXCLUDED.match(source.file)] == []


def test_what_is_a_judgement_call_says_so(sources: list[Source]) -> None:
    called = {source.source for source in sources if source.why.startswith("judgement call")}
    assert called == {"NPL", "Göttingen"}


def test_one_reason_is_given_per_source(sources: list[Source]) -> None:
    assert len({(source.source, source.why) for source in sources}) == len(SOURCES)


def test_the_notice_gives_every_reason_in_the_list(sources: list[Source]) -> None:
    notice = (WHITELIST.parent.parent / "NOTICE").read_text(encoding="utf-8")
    for name in SOURCES:
        assert re.search(rf"^ +{name} ", notice, re.MULTILINE)


def test_every_part_in_the_catalogue_is_on_the_list(sources: list[Source]) -> None:
    listed = {source.file.removesuffix(".dat"): source for source in sources}
    catalogue = load()
    for row, part in enumerate(catalogue.id.tolist()):
        assert listed[part].source == catalogue.source[row]
        assert listed[part].name == catalogue.name[row]
    assert len(np.unique(catalogue.id)) == len(catalogue)
