"""What object is in the pickle, and which globals did it ask for?

The only file of the product that imports pickle. It runs in the child process; the bytes that are checked are the bytes
that are loaded, since the check is the unpickler's own look-up of every name.
"""

import _compat_pickle
import io
import pickle
import warnings
from dataclasses import dataclass, field
from typing import Any

from joblib.numpy_pickle import NumpyUnpickler
from joblib.numpy_pickle_utils import _validate_fileobject_and_memmap
from sklearn.exceptions import InconsistentVersionWarning

from conversion.allowlist import resolve
from conversion.errors import Refused, Unreadable


@dataclass(frozen=True)
class Loaded:
    """The object, and every global that its pickle named."""

    estimator: Any
    globals: list[str]


class StrictUnpickler(NumpyUnpickler):  # type: ignore[misc]
    """Finds only what the allow-list has, calls only what it found, and changes no class."""

    dispatch = NumpyUnpickler.dispatch.copy()

    def __init__(self, stream: Any, trusted: frozenset[str]) -> None:
        super().__init__("", stream, ensure_native_byte_order=True)
        self.trusted = trusted
        self.found: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        module, name = _modern(module, name)
        found = resolve(module, name, self.trusted)
        if found is None:
            raise Refused(
                f"the pickle asks for {module}.{name} at byte {self._position()}, which no scikit-learn model needs; if it"
                f" belongs to your model, review it and pass --trust {module}.{name}"
            )
        self.found[f"{module}.{name}"] = found
        return found

    def _only_found(self, called: Any) -> None:
        # An instance on the stack can be called too; only what find_class returned is known to be harmless.
        if not any(called is found for found in self.found.values()):
            raise Refused(f"the pickle calls an object of {type(called).__name__!r} at byte {self._position()}")

    def load_reduce(self) -> None:
        self._only_found(self.stack[-2])
        super().load_reduce()

    def load_obj(self) -> None:
        self._only_found(self.stack[0])
        super().load_obj()

    def load_build(self) -> None:
        if isinstance(self.stack[-2], type):
            raise Refused(f"the pickle changes the class {self.stack[-2].__name__!r} at byte {self._position()}")
        super().load_build()

    def _position(self) -> int:
        frame = self._unframer.current_frame
        end: int = self.file_handle.tell()
        return end if frame is None else end - len(frame.getbuffer()) + int(frame.tell())

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.OBJ[0]] = load_obj
    dispatch[pickle.BUILD[0]] = load_build


def _modern(module: str, name: str) -> tuple[str, str]:
    """Protocols below 3 write the names of Python 2."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[(module, name)]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


@dataclass
class _Versions:
    """Collects what scikit-learn says of pickles from other versions."""

    seen: list[str] = field(default_factory=list)

    def read(self, caught: list[warnings.WarningMessage]) -> None:
        for entry in caught:
            if isinstance(entry.message, InconsistentVersionWarning):
                self.seen.append(entry.message.original_sklearn_version)


def load(content: bytes, trusted: frozenset[str] = frozenset()) -> Loaded:
    """The object in a plain or joblib pickle, compressed or not.

    Raises Refused when it names, calls or changes what no model needs, or was written by another scikit-learn;
    Unreadable when it is no whole pickle.
    """
    if not content:
        raise Unreadable("the file is empty")
    versions = _Versions()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator, found = _unpickle(content, trusted)
        versions.read(caught)
    if versions.seen:
        import sklearn

        raise Refused(
            f"the pickle was written by scikit-learn {versions.seen[0]}, this is {sklearn.__version__}; convert it with"
            f" scikit-learn=={versions.seen[0]}, or fit and pickle it again"
        )
    return Loaded(estimator, sorted(found))


def _unpickle(content: bytes, trusted: frozenset[str]) -> tuple[Any, list[str]]:
    with _validate_fileobject_and_memmap(io.BytesIO(content), "", None) as (opened, _):
        if isinstance(opened, str):
            raise Unreadable("the pickle is in joblib's format of before 0.10; load it once with joblib and dump it again")
        unpickler = StrictUnpickler(opened, trusted)
        try:
            return unpickler.load(), list(unpickler.found)
        except (Refused, MemoryError):
            raise
        except Exception as error:
            raise Unreadable(f"not a whole pickle: {type(error).__name__}: {error}") from None
