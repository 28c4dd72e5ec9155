"""python convert.py [model.pkl] [-o model.onnx]: translate a scikit-learn model to ONNX, proving that it answers alike."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from conversion.errors import Refused, Unreadable
from conversion.parent import Order, convert
from conversion.report import summary
from conversion.sandbox import Limits


def main() -> int:
    add = (parser := ArgumentParser(description=__doc__)).add_argument
    add("source", nargs="?", type=Path, default=Path("model.pkl"), metavar="model.pkl")
    add("-o", dest="output", type=Path, metavar="model.onnx", help="default: the pickle's name with .onnx")
    add("--data", type=Path, help="rows to compare on as well: .npz, .csv or .parquet")
    add("--array", default="", metavar="NAME", help="which array of an .npz holds them (default: X, or the one that fits)")
    add("--report", type=Path, help="everything that was found, as JSON")
    add("--html", type=Path, help="the same as one page with plots")
    add("--example", type=Path, help="a request with scikit-learn's answers; default: example.json beside the output")
    add("--methods", nargs="+", default=[], help="which of the object's methods become outputs")
    add("--trust", nargs="+", default=[], metavar="module.Class", help="names the pickle may use beside the allow-list")
    add("--atol", type=float, default=1e-5, help="largest absolute difference; default %(default)g")
    add("--rtol", type=float, default=1e-5, help="largest difference relative to the value; default %(default)g")
    add("--time-limit", type=int, default=120, metavar="SECONDS", help="default %(default)s")
    given = vars(parser.parse_args())
    given["output"] = given["output"] or given["source"].with_suffix(".onnx")
    given["example"] = given["example"] or given["output"].with_name("example.json")
    order = Order(limits=Limits(seconds=given.pop("time_limit")), **given)
    try:
        print(summary(convert(order), str(order.output)))
        return 0
    except (Refused, Unreadable) as problem:
        sys.stderr.write(f"{problem.prefix} {order.source}: {problem}\n")
        return problem.exit_code


if __name__ == "__main__":
    sys.exit(main())
