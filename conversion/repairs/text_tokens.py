"""Words outside ASCII are words, and text is normalised under a locale that every image has.

skl2onnx 1.20 writes scikit-learn's default pattern as [a-zA-Z0-9_]+, which cuts a word at every letter outside ASCII, and
asks for the locale en_US.UTF-8, which minimal images lack (sklearn-onnx issue 1019).
"""

from typing import Any

NAME = "text_tokens"
_DEFAULT = r"(?u)\b\w\w+\b"
# What Python's \w is on text: letters, numbers of every kind, the underscore.
_WORD = r"[\p{L}\p{N}_][\p{L}\p{N}_]+"


def options(vectorizer: Any) -> dict[str, Any]:
    """skl2onnx's options for one vectorizer."""
    chosen = {"locale": "C.UTF-8"}
    if vectorizer.analyzer == "word" and vectorizer.token_pattern == _DEFAULT and vectorizer.tokenizer is None:
        chosen["tokenexp"] = _WORD
    return chosen
