"""How are the characters of a text numbered in a graph, exactly as Python lower-cases them and strips their accents?

Both are done to each character alone, so a table of what becomes of each replaces them: of those that make something of
the vocabulary, nothing, or several; all others are alike. Words are found here too where accents are stripped.
"""

from dataclasses import dataclass
from typing import Any

from onnx import TensorProto

from conversion.repairs.tokens import CODE_POINTS, SIGMAS, changes, expression, word_characters, words_of_pattern
from conversion.repairs.words import FILL, OTHER, STOP, closed_up, constant_column, counted, terms_of
from conversion.writer import Writer

INT = TensorProto.INT64
BLANKS = [one for one in CODE_POINTS if one.isspace()]
UNSURE = -3


@dataclass(frozen=True)
class Alphabet:
    """Numbers of what a character may become; blanks have the highest, `edge` stands for what is no part of a word."""

    numbers: dict[str, int]
    edge: int
    kept: frozenset[str] | None
    least: int = 1

    def of(self, text: str) -> tuple[int, ...]:
        """With as few unknown characters side by side as still tell how long a word is, and edges as still tell words apart."""
        found: list[int] = []
        for one in text:
            known = self.edge if self.kept is not None and one not in self.kept else self.numbers.get(one, OTHER)
            if known == OTHER and found[-self.least :] == [OTHER] * self.least:
                continue
            if self.kept is None or known != self.edge or found[-1:] != [self.edge]:
                found.append(known)
        return tuple(found)


def character_counts(write: Writer, model: Any, texts: str, width: int) -> str:
    """How often each run of characters that is in the vocabulary stands in each text; with the word analyzer, each term."""
    if model.analyzer == "word":
        return _words(write, model, texts, width)
    runs = {term: int(column) for term, column in model.vocabulary_.items() if _possible(term, model)}
    letters = sorted({one for run in runs for one in run if not one.isspace()})
    numbers = {one: number for number, one in enumerate(letters, 1)}
    edge = len(letters) + 1
    wide = model.analyzer == "char"
    numbers |= {one: edge + i if wide else edge for i, one in enumerate([" ", *(b for b in BLANKS if b != " ")])}
    found = _numbered(write, model, texts, Alphabet(numbers, edge, None), FILL if wide else edge)
    if wide:
        found = _blanks_together(write, found, edge)
    terms = {tuple(numbers[one] for one in run): [column] for run, column in runs.items() if wide or run != " "}
    counts = counted(write, found, terms, width)
    if not wide and " " in runs:
        counts = write.node("Add", [counts, _word_edges(write, found, edge, runs[" "], width)])
    return counts


def _possible(term: str, model: Any) -> bool:
    least, most = model.ngram_range
    if model.analyzer == "char":
        return bool(least <= len(term) <= most)
    if len(term.strip()) == 0:
        return term == " " and least == 1
    # A word shorter than the shortest run counts as one run, with the blanks around it.
    whole = term[0] == term[-1] == " " and 2 < len(term) < least
    inner = any(one.isspace() for one in term[1:-1]) or any(one.isspace() and one != " " for one in term)
    return not inner and (whole or least <= len(term) <= most)


def _words(write: Writer, model: Any, texts: str, width: int) -> str:
    """Each word is a run of characters between two edges."""
    words, terms = words_of_pattern(model.token_pattern), terms_of(model)
    several = model.ngram_range[1] > 1
    if several and (words.whole or words.least > 2 or model.get_stop_words() or " " in words.kept):
        raise ValueError(
            "words that ngrams skip (stop_words, or a token_pattern that leaves words out) are not covered where accents are"
            " stripped; strip them before the model"
        )
    kept, least = (word_characters(), 1) if words.whole else (words.kept, words.least)
    numbers = {one: n for n, one in enumerate(sorted({one for term in terms for word in term for one in word}), 1)}
    edge = len(numbers) + 1
    found = _numbered(write, model, texts, Alphabet(numbers, edge, kept, least), edge)
    if several:
        found = _short_words_out(write, found, edge) if least == 2 else found
        found = closed_up(write, _where_both(write, found, edge, -1, edge, STOP), STOP)
    runs = {(edge, *(n for word in term for n in (*(numbers[one] for one in word), edge))): [c] for term, c in terms.items()}
    return counted(write, found, runs, width)


def _numbered(write: Writer, model: Any, texts: str, alphabet: Alphabet, fill: int) -> str:
    """(n, characters): the numbers of what each character becomes, between two edges unless all of them matter."""
    if model.lowercase and set(SIGMAS) & set(alphabet.numbers):
        raise ValueError(
            "the vocabulary holds the letter sigma, which Python lower-cases by what stands around it;"
            " lower-case the texts before the model, and fit it with lowercase=False"
        )
    table, rest = _table(model, alphabet)
    # The first rows are for what fills up, for the edges, and for all characters that are not in the table.
    rows = [(fill,), (alphabet.edge if fill == alphabet.edge else STOP,), rest]
    place = {row: 3 + i for i, row in enumerate(sorted(set(table.values())))}
    rows += sorted(place)
    longest = max(len(row) for row in rows)
    single = write.node("Tokenizer", [texts], op_domain="com.microsoft", mark=0, mincharnum=1, pad_value="", tokenexp="(?s).")
    index = write.node(
        "LabelEncoder", [single], op_domain="ai.onnx.ml", op_version=2,
        keys_strings=["", *table], values_int64s=[0, *(place[row] for row in table.values())], default_int64=2,
    )  # fmt: skip
    edge = constant_column(write, index, 1)
    index = write.node("Concat", [edge, index, edge], axis=1)
    padded = [[*row, *[STOP] * (longest - len(row))] for row in rows]
    found = write.node("Gather", [write.constant(padded, INT), index])
    found = write.node("Reshape", [found, write.constant([0, -1], INT)])
    if rest == (UNSURE,):
        found = _sure(write, found, single, alphabet, model, longest)
    return closed_up(write, found, STOP)


def _table(model: Any, alphabet: Alphabet) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """What becomes of the characters that matter, and of all others."""
    words, vanishing = alphabet.kept is not None, model.strip_accents == "ascii"
    rest: tuple[int, ...] = () if vanishing else (UNSURE,) if words else (OTHER,)
    usual = {()} if vanishing else {(OTHER,), (alphabet.edge,)} if words else {(OTHER,)}
    changed = changes(model.lowercase, model.strip_accents)
    made = {one: alphabet.of(changed.get(one, one)) for one in sorted({*changed, *alphabet.numbers, *CODE_POINTS[:128]})}
    return {one: becomes for one, becomes in made.items() if becomes not in usual}, rest


def _sure(write: Writer, found: str, single: str, alphabet: Alphabet, model: Any, longest: int) -> str:
    """Characters that are not in the table: are they parts of words?"""
    kept = alphabet.kept or frozenset()
    changed = changes(model.lowercase, model.strip_accents)
    parts = expression(kept.difference(changed) | {one for one, becomes in changed.items() if becomes in kept})
    flat = write.node("Reshape", [single, write.constant([-1], INT)])
    longer = write.node("Concat", [flat, write.constant([""], TensorProto.STRING)], axis=0)
    matched = write.node("Tokenizer", [longer], op_domain="com.microsoft", mark=0, mincharnum=1, pad_value="", tokenexp=parts)
    one = write.node(
        "LabelEncoder", [matched], op_domain="ai.onnx.ml", op_version=2,
        keys_strings=[""], values_int64s=[0], default_int64=1,
    )  # fmt: skip
    is_part = write.node("ReduceSum", [one, write.constant([1], INT)], keepdims=0)
    is_part = write.node("Slice", [is_part, write.constant([0], INT), write.constant([-1], INT)])
    is_part = write.node("Reshape", [is_part, write.node("Shape", [single])], allowzero=1)
    edge = constant_column(write, is_part, 0)
    wide = write.node("Unsqueeze", [write.node("Concat", [edge, is_part, edge], axis=1), write.constant([2], INT)])
    spread = write.node("Expand", [wide, write.constant([1, 1, longest], INT)])
    spread = write.node("Reshape", [spread, write.constant([0, -1], INT)])
    chosen = write.node("Gather", [write.constant([alphabet.edge, OTHER], INT), spread])
    return write.node("Where", [write.node("Equal", [found, write.constant([UNSURE], INT)]), chosen, found])


def _beside(write: Writer, found: str, places: int) -> str:
    """The row moved by so many places: what stands before (-1) or behind (1) each number."""
    fill = constant_column(write, found, FILL)
    start, end = ([0], [-1]) if places < 0 else ([1], [2**31])
    part = write.node("Slice", [found, write.constant(start, INT), write.constant(end, INT), write.constant([1], INT)])
    return write.node("Concat", [fill, part] if places < 0 else [part, fill], axis=1)


def _same(write: Writer, found: str, number: int) -> str:
    return write.node("Equal", [found, write.constant([number], INT)])


def _where_both(write: Writer, found: str, number: int, places: int, beside: int, becomes: int) -> str:
    """Where this number stands beside that one, another."""
    both = write.node("And", [_same(write, found, number), _same(write, _beside(write, found, places), beside)])
    return write.node("Where", [both, write.constant([becomes], INT), found])


def _short_words_out(write: Writer, found: str, edge: int) -> str:
    """Words of one character become edges."""
    alone = write.node("And", [_same(write, _beside(write, found, -1), edge), _same(write, _beside(write, found, 1), edge)])
    return write.node("Where", [alone, write.constant([edge], INT), found])


def _blanks_together(write: Writer, found: str, blank: int) -> str:
    """Several blanks of any kind become one plain blank; the numbers of blanks are the highest."""
    first = write.constant([blank], INT)
    is_blank = write.node("GreaterOrEqual", [found, first])
    before = write.node("GreaterOrEqual", [_beside(write, found, -1), first])
    behind = write.node("GreaterOrEqual", [_beside(write, found, 1), first])
    run = write.node("And", [is_blank, behind])
    found = write.node("Where", [run, first, found])
    found = write.node("Where", [write.node("And", [is_blank, before]), write.constant([STOP], INT), found])
    return closed_up(write, found, STOP)


def _word_edges(write: Writer, found: str, edge: int, column: int, width: int) -> str:
    """A blank stands at both edges of every word, and is counted twice."""
    begins = write.node("And", [_same(write, _beside(write, found, -1), edge), write.node("Not", [_same(write, found, edge)])])
    begins = write.node("And", [begins, write.node("Not", [_same(write, found, FILL)])])
    number = write.node("Cast", [begins], to=TensorProto.DOUBLE)
    count = write.node("ReduceSum", [number, write.constant([1], INT)], keepdims=1)
    return write.node("Mul", [count, write.constant([2.0 if i == column else 0.0 for i in range(width)])])
