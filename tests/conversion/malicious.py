"""Malicious pickles, each written here by hand: what would a stranger send, and what must be said of it?

`NAMES` are globals that a pickle calls; `STREAMS` do harm by how they are built. In all of them `mark` is a file (or the
name of an environment variable) that is there only if the payload ran.
"""

import bz2
import gzip
import io
import lzma
import pickle
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

Make = Callable[[str], bytes]


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def named(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def called(module: str, name: str, *arguments: bytes) -> bytes:
    return named(module, name) + b"(" + b"".join(arguments) + b"tR"


def stream(body: bytes) -> bytes:
    return b"\x80\x04" + body + b"."


class Calls:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def opens(mark: str) -> Calls:
    return Calls(open, mark, "w")


def dumped(thing: Any, compress: Any = 0) -> bytes:
    into = io.BytesIO()
    joblib.dump(thing, into, compress=compress)
    return into.getvalue()


def _state(of: bytes, **attributes: bytes) -> bytes:
    return of + b"}(" + b"".join(text(name) + value for name, value in attributes.items()) + b"ub"


def _writes(mark: str) -> bytes:
    return called("builtins", "open", text(mark), text("w"))


def _followed(how: Any, mark: str) -> bytes:
    return bytes(how.compress(pickle.dumps(StandardScaler()))) + stream(_writes(mark))


SCALER = called("sklearn.preprocessing._data", "StandardScaler")
SCALER_CLASS = named("sklearn.preprocessing._data", "StandardScaler")

# What is asked for, by module; each is called with the mark. A dotted name walks through a module that is innocent itself.
NAMES: list[tuple[str, str]] = [
    (module, name)
    for module, names in {
        "os": "system popen putenv execv spawnl fork remove",
        "posix": "system putenv",
        "nt": "system",
        "subprocess": "Popen run check_output getoutput",
        "builtins": "eval exec compile open getattr setattr delattr __import__ map filter type vars globals breakpoint input"
        " super",
        "__builtin__": "eval execfile apply file",
        "functools": "reduce partialmethod cached_property singledispatch",
        "operator": "methodcaller attrgetter itemgetter call",
        "types": "CodeType FunctionType MethodType ModuleType",
        "copyreg": "add_extension pickle __newobj__",
        "codecs": "open decode lookup",
        "_codecs": "decode lookup register",
        "runpy": "run_path run_module",
        "code": "InteractiveInterpreter interact",
        "timeit": "timeit",
        "cProfile": "run",
        "pdb": "run",
        "webbrowser": "open",
        "antigravity": "fly",
        "ctypes": "CDLL cast",
        "importlib": "import_module reload",
        "importlib.machinery": "SourceFileLoader",
        "pkgutil": "resolve_name",
        "pydoc": "locate pipepager",
        "pty": "spawn",
        "socket": "socket create_connection",
        "urllib.request": "urlopen urlretrieve",
        "http.client": "HTTPSConnection",
        "pathlib": "Path PosixPath Path.write_text Path.touch",
        "shutil": "rmtree copyfile move",
        "tempfile": "NamedTemporaryFile mkdtemp",
        "logging": "FileHandler",
        "logging.config": "listen",
        "io": "open FileIO",
        "sqlite3": "connect",
        "zipfile": "ZipFile",
        "multiprocessing.connection": "Listener Client",
        "asyncio": "create_subprocess_shell",
        "threading": "Thread Timer",
        "pip": "main",
        "pickle": "load loads Unpickler",
        "_pickle": "loads",
        "marshal": "loads",
        "shelve": "open",
        "dill": "loads",
        "cloudpickle": "loads",
        "sys": "settrace modules exit",
        "__main__": "load",
        "conversion.load": "load os",
        "numpy": "load fromfile save savetxt genfromtxt loadtxt vectorize testing.rundocs f2py.os.system apply_along_axis",
        "numpy.f2py": "compile main",
        "numpy.testing": "rundocs",
        "numpy.testing._private.utils": "runstring rundocs",
        "numpy.ctypeslib": "load_library",
        "numpy.lib._npyio_impl": "load DataSource NpzFile",
        "numpy.lib.format": "open_memmap",
        "numpy.core.records": "fromfile",
        "numpy._core.multiarray": "fromfile set_legacy_print_mode",
        "numpy.distutils.exec_command": "exec_command",
        "scipy": "io.loadmat LowLevelCallable",
        "scipy.io": "loadmat savemat mmread",
        "scipy.io.wavfile": "write",
        "scipy.datasets": "download_all",
        "scipy.sparse": "load_npz save_npz",
        "joblib": "load dump Memory Parallel",
        "joblib.memory": "Memory MemorizedResult",
        "joblib.numpy_pickle": "load dump NDArrayWrapper ZNDArrayWrapper NumpyArrayWrapper.read_mmap",
        "joblib.numpy_pickle_compat": "NDArrayWrapper load_compatibility",
        "joblib.externals.cloudpickle.cloudpickle": "_make_function subimport",
        "pandas": "read_pickle eval read_csv",
        "pandas.io.pickle": "read_pickle",
        "onnxruntime": "InferenceSession",
        "sklearn": "show_versions os.system",
        "sklearn.utils": "os.system _joblib.joblib.load",
        "sklearn.base": "os copy.copy clone __dict__ __loader__ BaseEstimator.__init__ BaseEstimator.__subclasses__",
        "sklearn.pipeline": "make_pipeline Parallel defaultdict",
        "sklearn.datasets": "load_files fetch_openml load_svmlight_file",
        "sklearn.datasets._base": "_fetch_remote RemoteFileMetadata load_files",
        "sklearn.externals._packaging.version": "Version",
        "sklearn.utils._testing": "TempMemmap create_memmap_backed_data",
        "sklearn.utils.parallel": "_FuncWrapper Parallel",
        "sklearn.utils._set_output": "check_library_installed",
        "sklearn.utils.deprecation": "deprecated",
        "sklearn.utils.estimator_checks": "check_estimator _NotAnArray",
        "sklearn.callback._scoring_monitor": "ScoringMonitor",
        "sklearn.callback._transport": "ListenerHandle open_listener send",
        "sklearn.tree._export": "export_graphviz _DOTTreeExporter",
        "sklearn.inspection._plot.decision_boundary": "DecisionBoundaryDisplay",
        "sklearnx.base": "BaseEstimator",
    }.items()
    for name in names.split()
]

CALLS = r"calls an object of '\w+' at byte \d+"
ASKS = r"asks for [\w.]+ at byte \d+"
BROKEN = r"not a whole pickle: .+ at byte \d+"

STREAMS: dict[str, tuple[Make, str]] = {
    "protocol 0, GLOBAL": (lambda mark: f"cposix\nsystem\n(Vtouch {mark}\ntR.".encode(), ASKS),
    "INST": (lambda mark: f"(Vtouch {mark}\niposix\nsystem\n.".encode(), ASKS),
    "OBJ": (lambda mark: stream(b"(" + named("builtins", "open") + text(mark) + text("w") + b"o"), ASKS),
    "NEWOBJ": (lambda mark: stream(named("_io", "FileIO") + b"(" + text(mark) + text("w") + b"t\x81"), ASKS),
    "NEWOBJ_EX": (lambda mark: stream(named("_io", "FileIO") + b"(" + text(mark) + text("w") + b"t}\x92"), ASKS),
    "a name of Python 2": (lambda mark: f"c__builtin__\nopen\n(V{mark}\nVw\ntR.".encode(), r"asks for builtins\.open"),
    "an environment variable": (lambda mark: stream(called("posix", "putenv", text(mark), text("1"))), ASKS),
    "a registered extension": (lambda _: stream(b"\x82\x01"), BROKEN),
    "a registered extension of two bytes": (lambda _: stream(b"\x83\x01\x00"), BROKEN),
    "a registered extension of four bytes": (lambda _: stream(b"\x84\x01\x00\x00\x00"), BROKEN),
    "a persistent id": (lambda mark: stream(text(mark) + b"Q"), r"persistent id.* at byte \d+"),
    "a persistent id of protocol 0": (lambda mark: f"P{mark}\n.".encode(), r"persistent id.* at byte \d+"),
    "out-of-band buffers": (lambda _: b"\x80\x05\x97.", BROKEN),
    "an instance is called": (lambda _: stream(SCALER + b")R"), CALLS),
    "an instance is called by OBJ": (lambda _: stream(b"(" + SCALER + b"o"), CALLS),
    "an instance from the memo is called": (lambda _: stream(SCALER + b"q\x000h\x00)R"), CALLS),
    "an instance poses as a class": (lambda _: stream(SCALER + b")\x81"), CALLS),
    "an instance poses as a class with keywords": (lambda _: stream(SCALER + b")}\x92"), CALLS),
    "a text is called": (lambda mark: stream(text(mark) + b")R"), CALLS),
    "a callable kernel is called": (
        lambda _: stream(called("sklearn.gaussian_process.kernels", "RBF") + b"(" + SCALER + b"tR"), CALLS),
    "a class is changed": (lambda _: stream(_state(SCALER_CLASS, fit=b"N")), r"changes 'StandardScaler' at byte \d+"),
    "a class is changed through slots": (
        lambda _: stream(SCALER_CLASS + b"N}" + text("fit") + b"Ns\x86b"), r"changes 'StandardScaler' at byte \d+"),
    "a function is changed": (
        lambda _: stream(named("sklearn.metrics._regression", "r2_score") + b"N}" + text("__defaults__") + b"Ns\x86b"),
        r"changes 'r2_score' at byte \d+"),
    "a method is replaced": (
        lambda _: stream(_state(SCALER, transform=named("numpy", "max"))), r"replaces 'transform' of a StandardScaler"),
    "a method is replaced through slots": (
        lambda _: stream(SCALER + b"N}" + text("fit") + b"Ns\x86b"), r"replaces 'fit' of a StandardScaler"),
    "the class is replaced": (lambda _: stream(_state(SCALER, __class__=SCALER_CLASS)), r"replaces '__class__'"),
    "the class is replaced through slots": (
        lambda _: stream(SCALER + b"N}" + text("__class__") + SCALER_CLASS + b"s\x86b"), r"replaces '__class__'"),
    "__dict__ is replaced": (lambda _: stream(_state(SCALER, __dict__=b"}")), r"replaces '__dict__'"),
    "__setstate__ is replaced": (lambda _: stream(_state(SCALER, __setstate__=named("numpy", "max"))), r"replaces '__setsta"),
    "__reduce__ inside an attribute": (lambda mark: pickle.dumps(FunctionTransformer(opens(mark))), r"io\.open"),
    "inside nested pipelines": (
        lambda mark: pickle.dumps(make_pipeline(make_pipeline(StandardScaler(), LogisticRegression(C=opens(mark))))), ASKS),
    "inside an array of objects": (lambda mark: pickle.dumps(np.array([opens(mark)], object)), ASKS),
    "as a key": (lambda mark: stream(b"}" + _writes(mark) + b"Ns"), ASKS),
    "as a state": (lambda mark: stream(SCALER + _writes(mark) + b"b"), ASKS),
    "as the state of a tree": (
        lambda mark: stream(named("sklearn.tree._tree", "Tree") + b")\x81" + _writes(mark) + b"b"), BROKEN),
    "as the dtype of an array": (lambda mark: stream(called("numpy", "dtype", _writes(mark))), ASKS),
    "as the factory of a dict": (
        lambda mark: stream(called("collections", "defaultdict", named("builtins", "open")) + text(mark) + b"Ns"), ASKS),
    "a partial": (
        lambda mark: stream(called("functools", "partial", named("builtins", "open"), text(mark), text("w"))),
        r"builtins\.open"),
    "a partial of a function that may be named": (
        lambda _: stream(called("functools", "partial", named("numpy", "max"))), r"partial of 'max'"),
    "a partial made without arguments and filled": (
        lambda _: stream(called("functools", "partial", named("sklearn.utils.validation", "check_array"))
                         + b"(" + named("numpy", "max") + b")}Ntb"), r"partial of 'max'"),
    "a memmap that makes its file": (
        lambda mark: stream(called("numpy", "memmap", text(mark), text("uint8"), text("w+"), b"K\x00", b"K\x08\x85")),
        BROKEN),
    "inside joblib": (lambda mark: dumped({"a": opens(mark)}), ASKS),
    **{f"inside joblib, {how}": (lambda mark, how=how: dumped({"a": opens(mark)}, (how, 3)), ASKS)  # type: ignore[misc]
       for how in ("zlib", "gzip", "bz2", "lzma", "xz")},
    **{f"inside joblib's array of objects, {how}": (
        lambda mark, how=how: dumped(np.array([opens(mark)], object), how), ASKS)  # type: ignore[misc]
       for how in (0, ("zlib", 3), ("xz", 3))},
    "an instance is called inside joblib's array of objects": (lambda _: _inside_array(SCALER + b")R"), CALLS),
    "a class is changed inside joblib's array of objects": (
        lambda _: _inside_array(_state(SCALER_CLASS, fit=b"N")), r"changes 'StandardScaler'"),
    "compressed twice": (lambda mark: gzip.compress(bz2.compress(stream(_writes(mark)))), ASKS),
    "two pickles": (
        lambda mark: pickle.dumps(StandardScaler()) + stream(_writes(mark)), r"goes on after the pickle's end at byte \d+"),
    "two pickles, compressed": (
        lambda mark: lzma.compress(pickle.dumps(StandardScaler()) + stream(_writes(mark))), r"goes on after the pickle's end"),
    **{f"garbage after {how.__name__}": (partial(_followed, how), r"goes on after the compressed stream's end at byte \d+")
       for how in (gzip, zlib, bz2, lzma)},
    "words that steer the terminal": (lambda _: b"cos\x1b[2J\nsystem\n.", r"asks for os\\x1b\[2J\.system"),
}  # fmt: skip


def _inside_array(body: bytes) -> bytes:
    """A joblib stream whose array of objects is this stream."""
    whole = dumped(np.array([None], object))
    start = whole.index(b"\x80\x05", 2)  # joblib writes such arrays as a pickle of protocol 5 of their own
    return whole[:start] + stream(body)
