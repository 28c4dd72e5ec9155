"""What may a pickle name, call and change?"""

import io
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from conversion.errors import Refused, Unreadable
from conversion.load import load

Array = np.ndarray[Any, Any]


class Calls:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def dumped(thing: Any, compress: Any = 0) -> bytes:
    stream = io.BytesIO()
    joblib.dump(thing, stream, compress=compress)
    return stream.getvalue()


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "the payload ran"


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_call_of_the_shell_is_refused_by_name_in_every_protocol(protocol: int, marker: Path) -> None:
    content = pickle.dumps(Calls(os.system, f"touch '{marker}'"), protocol)
    with pytest.raises(Refused, match=r"posix\.system at byte \d+.*--trust posix\.system"):
        load(content)
    assert not marker.exists()


def test_a_payload_inside_an_estimator_is_refused(marker: Path) -> None:
    model = make_pipeline(StandardScaler(), FunctionTransformer(Calls(eval, f"open({str(marker)!r}, 'w')")))
    with pytest.raises(Refused, match=r"builtins\.eval"):
        load(pickle.dumps(model))
    assert not marker.exists()


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_a_payload_inside_an_object_array_of_a_joblib_stream_is_refused(compress: Any, marker: Path) -> None:
    array = np.array([Calls(os.system, f"touch '{marker}'")], dtype=object)
    with pytest.raises(Refused, match=r"posix\.system"):
        load(dumped({"classes_": array}, compress))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("sklearn.utils._joblib", "joblib.load"),  # a dotted name through an innocent module
        ("sklearn.base", "copy.copy"),
        ("sklearn.utils.parallel", "_FuncWrapper"),  # holds a function and calls it
        ("sklearn.datasets._base", "RemoteFileMetadata"),
        ("sklearn.utils._testing", "TempMemmap"),
        ("sklearn.pipeline", "defaultdict"),  # imported there, not defined there
        ("sklearn.pipeline", "make_pipeline"),  # a function
        ("sklearn.base", "__doc__"),
        ("sklearn.base", "os"),
        ("sklearnx.base", "BaseEstimator"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("operator", "attrgetter"),
        ("joblib.numpy_pickle", "load"),
        ("numpy", "load"),
        ("numpy", "testing.rundocs"),
        ("numpy.f2py", "compile"),
        ("importlib", "import_module"),
    ],
)
def test_what_no_model_needs_is_not_found(module: str, name: str) -> None:
    content = b"\x80\x04\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
    with pytest.raises(Refused, match=r"no scikit-learn model needs"):
        load(content)


def test_nothing_outside_the_list_is_even_imported() -> None:
    assert "antigravity" not in sys.modules
    with pytest.raises(Refused):
        load(b"cantigravity\nfly\n.")
    assert "antigravity" not in sys.modules


def test_an_instance_on_the_stack_cannot_be_called() -> None:
    scaler = pickle.dumps(StandardScaler(), 2)[:-1]  # without its STOP
    with pytest.raises(Refused, match="calls an object of 'StandardScaler'"):
        load(scaler + b")R.")
    with pytest.raises(Refused, match="calls an object of 'StandardScaler'"):
        load(b"(" + scaler + b"o.")


def test_a_class_cannot_be_changed() -> None:
    with pytest.raises(Refused, match="changes 'StandardScaler'"):
        load(b"\x80\x02csklearn.preprocessing._data\nStandardScaler\n}X\x01\x00\x00\x00aK\x01sb.")


def test_a_trusted_name_is_found_and_only_that_one() -> None:
    content = pickle.dumps(Calls(os.path.join, "a", "b"))
    assert load(content, frozenset({"posixpath.join"})).estimator == "a/b"
    with pytest.raises(Refused, match=r"posixpath\.join"):
        load(content, frozenset({"posixpath"}))


@pytest.mark.parametrize("protocol", range(6))
def test_models_load_in_every_protocol_with_what_they_named(protocol: int, rows: Array) -> None:
    labels = (rows[:, 0] > 0).astype(int)
    for model in (make_pipeline(StandardScaler(), RandomForestClassifier(3)), KNeighborsClassifier(algorithm="kd_tree")):
        fitted = model.fit(rows, labels)
        loaded = load(pickle.dumps(fitted, protocol))
        assert (loaded.estimator.predict(rows) == fitted.predict(rows)).all()
        assert any(name.startswith("sklearn.") for name in loaded.globals)


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_models_load_from_joblib_with_every_compressor(compress: Any, rows: Array) -> None:
    fitted = StandardScaler().fit(rows)
    assert (load(dumped(fitted, compress)).estimator.mean_ == fitted.mean_).all()


def test_numpy_functions_of_the_written_list_load(rows: Array) -> None:
    loaded = load(pickle.dumps(FunctionTransformer(np.log1p).fit(rows)))
    assert loaded.estimator.func is np.log1p


def test_a_truncated_pickle_is_unreadable_wherever_it_is_cut(rows: Array) -> None:
    whole = pickle.dumps(StandardScaler().fit(rows))
    for cut in range(0, len(whole) - 1, 7):
        with pytest.raises(Unreadable):
            load(whole[:cut])


@pytest.mark.parametrize("content", [b"", b"hello world", b"PK\x03\x04", b"\x00" * 100, b"\x80\x63."])
def test_what_is_no_pickle_is_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        load(content)


def test_a_pickle_of_another_version_is_refused_with_the_version_it_needs(rows: Array) -> None:
    fitted = StandardScaler().fit(rows)
    content = pickle.dumps(fitted, 2).replace(b"1.9.1", b"1.2.1")
    with pytest.raises(Refused, match=r"written by scikit-learn 1\.2\.1.*scikit-learn==1\.2\.1"):
        load(content)


def written_by(version: bytes, name: bytes = b"StandardScaler") -> bytes:
    """A pickle of another scikit-learn, in which the class may have had another name."""
    content = pickle.dumps(StandardScaler().fit([[1.0], [2.0]]), 2)
    return content.replace(sklearn.__version__.encode(), version).replace(b"StandardScaler", name)


def test_what_fails_in_a_pickle_of_another_version_is_told_with_the_version_it_needs() -> None:
    said = (
        r"asks for sklearn\.preprocessing\._data\.StandardScalex at byte \d+, .*; the pickle was written by scikit-learn"
        r" 1\.0\.2, this is [\d.]+; convert it with scikit-learn==1\.0\.2, or fit and pickle it again$"
    )
    with pytest.raises(Refused, match=said):
        load(written_by(b"1.0.2", b"StandardScalex"))


def test_a_pickle_of_another_version_that_would_load_is_refused_all_the_same() -> None:
    with pytest.raises(Refused, match=r"^the pickle was written by scikit-learn 1\.0\.2, this is [\d.]+; convert it with"):
        load(written_by(b"1.0.2"))


def test_what_fails_in_a_pickle_of_this_version_says_nothing_of_versions() -> None:
    with pytest.raises(Refused) as refused:
        load(written_by(sklearn.__version__.encode(), b"StandardScalex"))
    assert "written by" not in str(refused.value)
    with pytest.raises(Refused, match=r"asks for posix\.system") as refused:
        load(pickle.dumps(Calls(os.system, "true"), 2))
    assert "written by" not in str(refused.value)


def test_a_pickle_without_a_version_is_told_so() -> None:
    scaler = StandardScaler().fit([[1.0], [2.0]])
    content = pickle.dumps(scaler, 2).replace(b"_sklearn_version", b"_sklearn_versiox")
    with pytest.raises(Refused, match=r"does not say which scikit-learn wrote it, this is .*; fit and pickle the model"):
        load(content)
