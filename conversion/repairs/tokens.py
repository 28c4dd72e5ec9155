"""Which characters make the words of a vectorizer, as Python's re and str.lower see them?

RE2, which onnxruntime splits texts with, knows another edition of Unicode, and its \\w and \\b know ASCII only: so classes
are written as the very code points, found by asking Python about each. Surrogates are left out, since no UTF-8 holds them.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from re import _constants, _parser
from typing import Any

CODE_POINTS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
WORD = r"(?u)\b\w\w+\b"
# The only character that lower-casing makes longer: an i, and a dot that is no letter.
DOTTED, DOT = "\u0130", "\u0307"
SIGMAS = "\u03c3\u03c2"


@dataclass(frozen=True)
class Words:
    """Words are the longest runs of `kept` characters, of at least `least`.

    With `whole` the runs are of Python's word characters, and count only when all of theirs are kept.
    """

    kept: frozenset[str]
    least: int
    whole: bool


def words_of_pattern(pattern: str) -> Words:
    """Raises ValueError for a pattern that says more than which characters stand together, and how many at least."""
    compiled = re.compile(pattern)
    items = list(_parser.parse(pattern))
    if len(items) == 1 and items[0][0] is _constants.SUBPATTERN:
        items = list(items[0][1][-1])
    edges = [item == (_constants.AT, _constants.AT_BOUNDARY) for item in items]
    bounded = len(items) > 2 and edges[0] and edges[-1]
    inner = items[1:-1] if bounded else items
    atoms = [_atom(item) for item in inner]
    plain = not compiled.flags & (re.ASCII | re.IGNORECASE) and {atom and atom[1] for atom in atoms} == {_ANY_WORD}
    if not atoms or any(atom is None or atom[1] != atoms[0][1] for atom in atoms) or atoms[-1][2] is not _constants.MAXREPEAT:  # type: ignore[index]
        raise ValueError(f"token_pattern {pattern!r} is more than a run of characters of one kind, as {WORD!r} is")
    least = sum(atom[0] for atom in atoms if atom)
    kept = word_characters() if plain else _matching(compiled.pattern, compiled.flags, least)
    return Words(kept, least, whole=bounded and kept != word_characters())


def _atom(item: Any) -> tuple[int, str, Any] | None:
    """(how many at least, of what, how many at most) of one item of a parsed pattern; None for what is no character class."""
    kind, given = item
    if kind is _constants.MAX_REPEAT:
        least, most, inner = given
        return (least, str(inner[0]), most) if len(inner) == 1 and inner[0][0] in _CLASSES else None
    return (1, str(item), 1) if kind in _CLASSES else None


_ANY_WORD = "(IN, [(CATEGORY, CATEGORY_WORD)])"
_CLASSES = (_constants.IN, _constants.LITERAL, _constants.NOT_LITERAL)


@lru_cache(maxsize=8)
def _matching(pattern: str, flags: int, least: int) -> frozenset[str]:
    match = re.compile(pattern, flags).fullmatch
    return frozenset(one for one in CODE_POINTS if match(one * max(least, 1)))


@lru_cache(maxsize=1)
def word_characters() -> frozenset[str]:
    return frozenset(one for one in CODE_POINTS if one.isalnum() or one == "_")


def before_lowering(kept: frozenset[str]) -> frozenset[str]:
    """The characters that lower-casing makes nothing but kept ones of."""
    changed = [one for one in CODE_POINTS if one.lower() != one]
    return kept.difference(changed) | {one for one in changed if kept.issuperset(one.lower())}


def expression(kept: frozenset[str]) -> str:
    """The class in RE2's syntax."""
    runs = []
    for _, run in groupby(enumerate(sorted(map(ord, kept))), lambda pair: pair[1] - pair[0]):
        codes = [code for _, code in run]
        runs.append(f"\\x{{{codes[0]:x}}}" + (f"-\\x{{{codes[-1]:x}}}" if len(codes) > 1 else ""))
    return f"[{''.join(runs)}]"


@lru_cache(maxsize=8)
def changes(lowercase: bool, accents: str | None) -> dict[str, str]:
    """What becomes of each character that does not stay as it is, alone.

    Source: sklearn.feature_extraction.text, strip_accents_unicode and strip_accents_ascii.
    """
    made = {one: _stripped(one.lower() if lowercase else one, accents) for one in CODE_POINTS}
    return {one: becomes for one, becomes in made.items() if one != becomes}


def _stripped(text: str, accents: str | None) -> str:
    if accents is None:
        return text
    apart = unicodedata.normalize("NFKD", text)
    if accents == "ascii":
        return apart.encode("ascii", "ignore").decode()
    return "".join(one for one in apart if not unicodedata.combining(one))
