"""What did the user ask convert.py for?"""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path

from conversion.parent import Order
from conversion.sandbox import Limits

PRECISIONS = ("float32", "mixed", "float64")


def order_of(arguments: Sequence[str] | None, description: str) -> Order:
    """Exits with status 2 and a sentence on a command line that cannot be understood."""
    parser = ArgumentParser(prog="convert.py", description=description)
    add = parser.add_argument
    add("source", nargs="?", type=Path, default=Path("model.pkl"), metavar="model.pkl")
    add("-o", dest="output", type=Path, metavar="model.onnx", help="default: the pickle's name with .onnx")
    add("--data", type=Path, help="rows to compare on as well: .npz, .csv or .parquet")
    add("--array", default="", metavar="NAME", help="which array of an .npz holds them (default: X, or the one that fits)")
    add(
        "--regressions",
        type=Path,
        help="rows that went wrong once; default: regressions.json beside the pickle, if it is there",
    )
    add("--report", type=Path, help="everything that was found, as JSON")
    add("--html", type=Path, help="the same as one page with plots")
    add("--example", type=Path, help="a request with scikit-learn's answers; default: example.json beside the output")
    add("--methods", nargs="+", default=[], help="which of the object's methods become outputs")
    add("--precision", choices=PRECISIONS, help="try this precision alone; the comparison is the same")
    add("--trust", nargs="+", default=[], metavar="module.Class", help="names the pickle may use beside the allow-list")
    add("--atol", type=_tolerance, default=1e-5, help="largest absolute difference; default %(default)g")
    add("--rtol", type=_tolerance, default=1e-5, help="largest difference relative to the value; default %(default)g")
    add("--time-limit", type=_positive, default=120, metavar="SECONDS", help="default %(default)s")
    add("--memory-limit", type=_positive, default=8192, metavar="MIB", help="default %(default)s")
    given = vars(parser.parse_args(arguments))
    given["output"] = given["output"] or given["source"].with_suffix(".onnx")
    given["example"] = given["example"] or given["output"].with_name("example.json")
    given["precision"] = given["precision"] or ""
    beside = given["source"].with_name("regressions.json")
    given["regressions"] = given["regressions"] or (beside if beside.is_file() else None)
    limits = Limits(seconds=given.pop("time_limit"), memory_bytes=given.pop("memory_limit") << 20)
    return Order(limits=limits, **given)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no whole number above zero")
    return int(text)


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise ArgumentTypeError(f"{text!r} is no number from 0 to 1, like 1e-5")
    return value
