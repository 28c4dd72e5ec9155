"""Do the decoder and its plain twin agree on a request: the same arrays to the last bit, or both a refusal?"""

from typing import Any

from serving.errors import Refusal
from serving.protocol import Decoder
from serving.signature import Signature, Tensor
from tests.fuzz import reference

MAX_ROWS = 50
COLUMNS = 2


def decoder(datatype: str) -> Decoder:
    return Decoder(Signature((Tensor("X", datatype, (-1, COLUMNS)),), (Tensor("Y", datatype, (-1, COLUMNS)),)), MAX_ROWS)


def expected(datatype: str, body: bytes, header: str | None) -> dict[str, Any] | None:
    """The twin's arrays; None for a refusal."""
    try:
        length = None if header is None else int(header)
        return reference.decode(body, length, {"X": (datatype, COLUMNS)}, MAX_ROWS)
    except reference.No:
        return None


def answered(decoder: Decoder, body: bytes, header: str | None) -> tuple[dict[str, Any] | None, str]:
    """The decoder's arrays, or None and the refusal's code. Anything else it raises goes through."""
    try:
        question = decoder.decode(body, header)
    except Refusal as refusal:
        if refusal.status >= 500:
            raise
        return None, refusal.code
    return question.feeds, "accepted"


def same(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    if one.keys() != other.keys():
        return False
    for name, array in one.items():
        twin = other[name]
        if array.dtype != twin.dtype or array.shape != twin.shape:
            return False
        if (array.tolist() != twin.tolist()) if array.dtype.hasobject else (array.tobytes() != twin.tobytes()):
            return False
    return True
