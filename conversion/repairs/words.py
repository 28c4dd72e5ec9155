"""How are the words of a text numbered in a graph, exactly as a scikit-learn vectorizer numbers them?

Texts are split before they are lower-cased: lower-casing takes apart only what was one character, and leaves each of
Python's word characters one. onnxruntime's locale C.UTF-8 lower-cases as Python does but for the dotted I and the final
sigma; the former ends a word, vocabularies with the latter are refused.
"""

import re
from typing import Any

from onnx import TensorProto

from conversion.repairs.tokens import DOT, DOTTED, SIGMAS, Words, before_lowering, expression, word_characters, words_of_pattern
from conversion.writer import Writer

# Numbers that no word has: what fills up a row, and a word that is taken out.
FILL, STOP, OTHER = -1, -2, 0


def terms_of(model: Any) -> dict[tuple[str, ...], int]:
    """The words of each term that the vectorizer can find, with its column. Raises ValueError for what is not covered."""
    pattern, stop = re.compile(model.token_pattern), model.get_stop_words() or ()
    least, most = model.ngram_range
    found: dict[tuple[str, ...], int] = {}
    for term, column in model.vocabulary_.items():
        words = (term,) if most == 1 else tuple(term.split(" "))
        if least <= len(words) <= most and all(_findable(word, model, pattern, stop) for word in words):
            found[words] = int(column)
    return found


def _findable(word: str, model: Any, pattern: re.Pattern[str], stop: Any) -> bool:
    return pattern.findall(word) == [word] and word not in stop and not (model.lowercase and word.lower() != word)


def numbered(write: Writer, model: Any, texts: str, numbers: dict[str, int]) -> str:
    """(n, words) for texts (n,): each word's number, with `STOP` for stop words; `FILL` where a row has no more words.

    Raises ValueError for what is not covered.
    """
    found = split(write, model, texts)
    if model.ngram_range[1] > 1:
        numbers = numbers | dict.fromkeys(model.get_stop_words() or (), STOP)
    lowered = lower(write, found) if model.lowercase else found
    check_sigma(model, numbers)
    keys = ["", *numbers]
    return write.node(
        "LabelEncoder", [lowered], op_domain="ai.onnx.ml", op_version=2,
        keys_strings=keys, values_int64s=[FILL, *numbers.values()], default_int64=OTHER,
    )  # fmt: skip


def split(write: Writer, model: Any, texts: str) -> str:
    """The words as they are written, with empty ones to fill up the rows."""
    words = words_of_pattern(model.token_pattern)
    if words.whole and model.ngram_range[1] > 1:
        raise ValueError(f"token_pattern {model.token_pattern!r} leaves out words of other characters, and ngrams skip them")
    kept, least = (word_characters(), 1) if words.whole else (words.kept, words.least)
    if " " in kept and model.ngram_range[1] > 1:
        raise ValueError(
            f"token_pattern {model.token_pattern!r} finds words with blanks in them, and ngrams are joined by blanks"
        )
    pattern = f"{expression(kept)}{{{least},}}"
    if model.lowercase:
        pattern = _lowered(Words(kept, least, words.whole), model)
    return write.node("Tokenizer", [texts], op_domain="com.microsoft", mark=0, mincharnum=1, pad_value="", tokenexp=pattern)


def _lowered(words: Words, model: Any) -> str:
    if DOT in words.kept:
        raise ValueError(
            f"token_pattern {model.token_pattern!r} takes the dot of a lower-cased {DOTTED!r} for a part of a word"
        )
    kept = expression(before_lowering(words.kept))
    ends = f"|{kept}{{{words.least - 1},}}{DOTTED}" if "i" in words.kept else ""
    return f"{kept}{{{words.least},}}{ends}"


def lower(write: Writer, words: str) -> str:
    """StringNormalizer takes a vector, and not an empty one."""
    shape = write.node("Shape", [words])
    flat = write.node("Reshape", [words, write.constant([-1], TensorProto.INT64)])
    longer = write.node("Concat", [flat, write.constant([""], TensorProto.STRING)], axis=0)
    lowered = write.node("StringNormalizer", [longer], case_change_action="LOWER", is_case_sensitive=1, locale="C.UTF-8")
    start, end = (write.constant([at], TensorProto.INT64) for at in (0, -1))
    return write.node("Reshape", [write.node("Slice", [lowered, start, end]), shape], allowzero=1)


def check_sigma(model: Any, words: Any) -> None:
    """Raises ValueError where the vocabulary can tell a final sigma, which Python writes otherwise, from another."""
    telling = re.compile(f"{SIGMAS[1]}|{SIGMAS[0]}(?![^\\W\\d_])")
    if model.lowercase and any(telling.search(word) for word in words):
        raise ValueError(
            "the vocabulary holds words with a final sigma, which onnxruntime lower-cases otherwise than Python;"
            " lower-case the texts before the model, and fit it with lowercase=False"
        )


def constant_column(write: Writer, rows: str, value: int) -> str:
    """(n, 1) of one number, beside the rows of a table."""
    count = write.node("Shape", [rows], end=1)
    shape = write.node("Concat", [count, write.constant([1], TensorProto.INT64)], axis=0)
    return write.node("Expand", [write.constant([value], TensorProto.INT64), shape])


def closed_up(write: Writer, numbers: str, taken_out: int) -> str:
    """The rows without the numbers `taken_out`, filled up at the end; a last column of fill is added."""
    longer = write.node("Concat", [numbers, constant_column(write, numbers, FILL)], axis=1)
    out = write.node("Equal", [longer, write.constant([taken_out], TensorProto.INT64)])
    filled = write.node("Where", [out, write.constant([FILL], TensorProto.INT64), longer])
    kept = write.node("Not", [out])
    counted_up = write.node("CumSum", [write.node("Cast", [kept], to=TensorProto.INT64), write.constant(1, TensorProto.INT64)])
    # All that is taken out is written to the last column, as fill.
    last = write.node("Sub", [write.node("Shape", [longer], start=1), write.constant([1], TensorProto.INT64)])
    place = write.node("Sub", [counted_up, write.constant([1], TensorProto.INT64)])
    index = write.node("Where", [kept, place, last])
    empty = write.node("Expand", [write.constant([FILL], TensorProto.INT64), write.node("Shape", [longer])])
    return write.node("ScatterElements", [empty, index, filled], axis=1)


def counted(write: Writer, numbers: str, terms: dict[tuple[int, ...], list[int]], width: int) -> str:
    """(n, width) in double: how often the numbers of each term follow each other; whole numbers up to 2**24 are exact."""
    pool: list[int] = []
    columns: list[int] = []
    starts: list[int] = []
    # A term of a number that nothing has, so that there is a last column whatever can be found.
    listed = [((-9,), width - 1), *((term, column) for term, columns_of in terms.items() for column in columns_of)]
    longest = max(len(term) for term, _ in listed)
    for length in range(1, longest + 1):
        starts.append(len(pool))
        for term, column in listed:
            if len(term) == length:
                pool.extend(term)
                columns.append(column)
    single = write.node(
        "TfIdfVectorizer", [numbers], mode="TF", min_gram_length=1, max_gram_length=longest, max_skip_count=0,
        ngram_counts=starts, ngram_indexes=columns, pool_int64s=pool,
    )  # fmt: skip
    return write.node("Cast", [single], to=TensorProto.DOUBLE)


def word_counts(write: Writer, model: Any, texts: str, width: int) -> str:
    """How often each term of the vocabulary stands in each text."""
    terms = terms_of(model)
    numbers = {word: number for number, word in enumerate(sorted({word for term in terms for word in term}), 1)}
    found = numbered(write, model, texts, numbers)
    if model.ngram_range[1] > 1 and model.get_stop_words():
        found = closed_up(write, found, STOP)
    return counted(write, found, {tuple(numbers[word] for word in term): [column] for term, column in terms.items()}, width)
