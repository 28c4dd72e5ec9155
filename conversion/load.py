"""What object is in the pickle, and which globals did it ask for?

The only file of the product that imports pickle. It runs in the child process; the bytes that are checked are the bytes
that are loaded, since the check is the unpickler's own look-up of every name.
"""

import _compat_pickle
import bz2
import io
import lzma
import pickle
import re
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sklearn
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler
from joblib.numpy_pickle_utils import _validate_fileobject_and_memmap
from sklearn.exceptions import InconsistentVersionWarning

from conversion.allowlist import resolve
from conversion.errors import Refused, Unreadable

# scikit-learn writes its version as the last attribute of each estimator; between the two stand opcodes of a few bytes.
_VERSION = re.compile(rb"_sklearn_version.{1,14}?(\d+\.\d+(?:\.\d+)?(?:(?:\.dev|\.post|rc|a|b)\d+)?)", re.DOTALL)

_COMPRESSED: dict[bytes, Callable[[], Any]] = {
    b"\x78": zlib.decompressobj,
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"BZh": bz2.BZ2Decompressor,
    b"\x5d\x00": lzma.LZMADecompressor,
    b"\xfd7zXZ": lzma.LZMADecompressor,
}
_LZ4 = b"\x04\x22\x4d\x18"


@dataclass(frozen=True)
class Loaded:
    """The object, and every global that its pickle named."""

    estimator: Any
    globals: list[str]


def _noting_its_byte(handler: Callable[["StrictUnpickler"], None]) -> Callable[["StrictUnpickler"], None]:
    def handle(self: "StrictUnpickler") -> None:
        self.byte = self.position() - 1
        handler(self)

    return handle


class StrictUnpickler(NumpyUnpickler):  # type: ignore[misc]
    """Finds only what the allow-list has, calls only what it found, and changes nothing but the instances it made."""

    def __init__(self, stream: Any, trusted: frozenset[str], found: dict[str, Any]) -> None:
        super().__init__("", stream, ensure_native_byte_order=True)
        self.trusted, self.found, self.byte = trusted, found, 0
        self._file_read = self._whole

    def find_class(self, module: str, name: str) -> Any:
        module, name = _modern(module, name)
        shown = _printable(f"{module}.{name}")
        try:
            found = resolve(module, name, self.trusted)
        except ImportError as error:
            raise self._refused(f"asks for {shown}, which cannot be imported here: {_printable(error)}") from None
        if found is None:
            raise self._refused(
                f"asks for {shown}",
                f", which no scikit-learn model needs; if it belongs to your model, review it and pass --trust {shown}",
            )
        self.found[f"{module}.{name}"] = found
        return found

    def _whole(self, size: int) -> bytes:
        read: bytes = self.file_handle.read(size)
        if len(read) < size and size > 1:  # one byte is asked for where the next opcode would be
            raise EOFError(f"it asks for {size:,} bytes where {len(read):,} are left")
        return read

    def load_bytearray8(self) -> None:
        # Python makes room for as many bytes as are announced before it looks how many there are.
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(min(size, sys.maxsize))))

    def load_append(self) -> None:
        self._only_filled(self.stack[-2])
        super().load_append()

    def load_appends(self) -> None:
        self._only_filled(self.metastack[-1][-1])
        super().load_appends()

    def load_additems(self) -> None:
        self._only_filled(self.metastack[-1][-1])
        super().load_additems()

    def _only_filled(self, target: Any) -> None:
        # Of anything else, an attribute would be called that the pickle may have set.
        if type(target) not in (list, set):
            raise self._refused(f"adds to an object of {type(target).__name__!r}")

    def load_reduce(self) -> None:
        self._only_found(self.stack[-2])
        super().load_reduce()

    def load_obj(self) -> None:
        self._only_found(self.stack[0])
        super().load_obj()

    def load_newobj(self) -> None:
        self._only_found(self.stack[-2])
        super().load_newobj()

    def load_newobj_ex(self) -> None:
        self._only_found(self.stack[-3])
        super().load_newobj_ex()

    def load_build(self) -> None:
        target, state = self.stack[-2], self.stack[-1]
        if isinstance(target, type) or self._is_found(target):
            raise self._refused(f"changes {_printable(getattr(target, '__name__', target))!r}")
        for name in _attributes(state):
            if name.startswith("__") or callable(getattr(type(target), name, None)):
                raise self._refused(f"replaces {_printable(name)!r} of a {type(target).__name__}")
        super(NumpyUnpickler, self).load_build()
        if isinstance(self.stack[-1], NumpyArrayWrapper):
            self.stack.append(self._array(self.stack.pop()))

    def _array(self, wrapper: NumpyArrayWrapper) -> Any:
        # joblib reads an array of objects with an unpickler that asks for names only; calls and changes count there too.
        if wrapper.dtype.hasobject:
            return StrictUnpickler(self.file_handle, self.trusted, self.found).load()
        return wrapper.read_array(self, ensure_native_byte_order=True)

    def _only_found(self, called: Any) -> None:
        # An instance on the stack can be called too; only what find_class returned is known to be harmless.
        if not self._is_found(called):
            raise self._refused(f"calls an object of {type(called).__name__!r}")

    def _is_found(self, thing: Any) -> bool:
        return any(thing is found for found in self.found.values())

    def _refused(self, what: str, why: str = "") -> Refused:
        return Refused(f"the pickle {what} at byte {self.byte}{why}")

    def position(self) -> int:
        """How many bytes of the stream, decompressed, have been read."""
        frame = self._unframer.current_frame
        end: int = self.file_handle.tell()
        return end if frame is None else end - len(frame.getbuffer()) + int(frame.tell())

    dispatch = NumpyUnpickler.dispatch | {
        opcode[0]: _noting_its_byte(handler)
        for opcode, handler in (
            (pickle.GLOBAL, NumpyUnpickler.load_global),
            (pickle.STACK_GLOBAL, NumpyUnpickler.load_stack_global),
            (pickle.INST, NumpyUnpickler.load_inst),
            (pickle.REDUCE, load_reduce),
            (pickle.OBJ, load_obj),
            (pickle.NEWOBJ, load_newobj),
            (pickle.NEWOBJ_EX, load_newobj_ex),
            (pickle.BUILD, load_build),
            (pickle.BYTEARRAY8, load_bytearray8),
            (pickle.APPEND, load_append),
            (pickle.APPENDS, load_appends),
            (pickle.ADDITEMS, load_additems),
        )
    }


def _modern(module: str, name: str) -> tuple[str, str]:
    """Protocols below 3 write the names of Python 2."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[(module, name)]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def _attributes(state: Any) -> Iterator[str]:
    """The names of attributes that a state sets: it is their dict, or a pair of dicts, the second for slots."""
    for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
        if isinstance(part, dict):
            yield from (name for name in part if isinstance(name, str))


def _printable(said: Any) -> str:
    """A pickle's own words: without control characters, which would steer the terminal, and of a length to be read."""
    return str(said)[:300].encode("unicode_escape").decode()


def load(content: bytes, trusted: frozenset[str] = frozenset()) -> Loaded:
    """The object in a plain or joblib pickle, compressed or not.

    Raises Refused when it names, calls or changes what no model needs, goes on after its end, or was written by another
    scikit-learn; Unreadable when it is no whole pickle.
    """
    if not content:
        raise Unreadable("the file is empty")
    content = _plain(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            loaded = _unpickle(content, trusted)
        except (Refused, Unreadable) as problem:
            # Other versions have other names and other states: what went wrong may be no more than that.
            if (version := _version_in(content)) in ("", sklearn.__version__):
                raise
            raise Refused(f"{problem}; {_other_version(version)}") from None
    for entry in caught:
        if isinstance(entry.message, InconsistentVersionWarning):
            raise Refused(_other_version(entry.message.original_sklearn_version))
    return loaded


def _plain(content: bytes) -> bytes:
    """What a compressed stream holds. joblib's own reader never ends where something follows the stream."""
    if content.startswith(_LZ4):
        raise Unreadable("the pickle is compressed with lz4, which is not read here; dump it with another compressor, or none")
    make = next((make for magic, make in _COMPRESSED.items() if content.startswith(magic)), None)
    if make is None:
        return content
    stream = make()
    try:
        plain: bytes = stream.decompress(content)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise Unreadable(f"not a whole pickle: the compressed stream is broken: {_printable(error)} at byte 0") from None
    if not stream.eof:
        raise Unreadable(f"not a whole pickle: the compressed stream ends early, at byte {len(content)}")
    if stream.unused_data:
        end = len(content) - len(stream.unused_data)
        raise Refused(f"the file goes on after the compressed stream's end at byte {end}; dump the model, and nothing else")
    return plain


def _unpickle(content: bytes, trusted: frozenset[str]) -> Loaded:
    with _validate_fileobject_and_memmap(io.BytesIO(content), "", None) as (opened, _):
        if isinstance(opened, str):
            raise Unreadable("the pickle is in joblib's format of before 0.10; load it once with joblib and dump it again")
        unpickler = StrictUnpickler(opened, trusted, {})
        try:
            estimator = unpickler.load()
            # Reading on also has the compressor check its sum.
            if unpickler.read(1):
                end = unpickler.position() - 1
                raise Refused(f"the file goes on after the pickle's end at byte {end}; dump the model, and nothing else")
        except (Refused, MemoryError, RecursionError):
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {_printable(error) or 'it ends early'}"
            raise Unreadable(f"not a whole pickle: {said} at byte {unpickler.position()}") from None
        return Loaded(estimator, sorted(unpickler.found))


def _version_in(content: bytes) -> str:
    """Which scikit-learn the pickle says it is from, where it cannot be loaded; empty when it does not say."""
    try:
        with _validate_fileobject_and_memmap(io.BytesIO(content), "", None) as (opened, _):
            said = _VERSION.search(opened.read())
    except Exception:  # a compressed stream may be broken in many ways, and this is only to say more
        return ""
    return said[1].decode() if said else ""


def _other_version(version: str) -> str:
    here = sklearn.__version__
    if version == "pre-0.18":
        return f"the pickle does not say which scikit-learn wrote it, this is {here}; fit and pickle the model again"
    return (
        f"the pickle was written by scikit-learn {version}, this is {here}; convert it with scikit-learn=={version}, or fit"
        " and pickle it again"
    )
