"""Is this file a pickle, or does it carry one, whatever it is called?

Looks at content: pickle streams of every protocol, compressed ones, members of zip archives (.npz, .pt), arrays of objects.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import pickletools
import zipfile
import zlib
from collections.abc import Callable

BINARY = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
COMPRESSED: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", gzip.decompress),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ\x00", lzma.decompress),
    (b"\x78\x01", zlib.decompress),
    (b"\x78\x5e", zlib.decompress),
    (b"\x78\x9c", zlib.decompress),
    (b"\x78\xda", zlib.decompress),
)


def pickled(content: bytes) -> str | None:
    """What gives the content away; None for a file that holds no pickle."""
    if content[:2] in BINARY and len(_opcodes(content)) >= 3:
        return f"a pickle of protocol {content[1]}"
    opcodes = _opcodes(content)
    # Short files such as "N." parse as well; three opcodes up to the last byte are no accident.
    if len(opcodes) >= 3 and opcodes[-1] == ("STOP", len(content) - 1):
        return "a pickle of protocol 0 or 1"
    if content.startswith(b"\x93NUMPY") and b"|O" in content[:128]:
        return "an array of objects"
    if content.startswith(b"PK\x03\x04"):
        return _zipped(content)
    for magic, decompress in COMPRESSED:
        if content.startswith(magic):
            return _decompressed(content, decompress)
    return None


def _opcodes(content: bytes) -> list[tuple[str, int]]:
    """Each opcode and its position, up to the first byte that is none."""
    found: list[tuple[str, int]] = []
    with contextlib.suppress(Exception):  # genops raises whatever the argument's reader raises
        for opcode, _, position in pickletools.genops(content):
            found.append((opcode.name, position or 0))
    return found


def _zipped(content: bytes) -> str | None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if verdict := pickled(archive.read(name)):
                return f"member {name}: {verdict}"
    return None


def _decompressed(content: bytes, decompress: Callable[[bytes], bytes]) -> str | None:
    try:
        inner = decompress(content)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return None
    verdict = pickled(inner)
    return verdict and f"compressed: {verdict}"
