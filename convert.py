"""python convert.py [model.pkl] [-o model.onnx]: translate a scikit-learn model to ONNX, proving that it answers alike."""

import sys

from conversion.errors import Refused, Unreadable
from conversion.options import order_of
from conversion.parent import convert
from conversion.report import summary


def main() -> int:
    order = order_of(None, str(__doc__))
    try:
        print(summary(convert(order), str(order.output)))
        return 0
    except (Refused, Unreadable) as problem:
        sys.stderr.write(f"{problem.prefix} {order.source}: {problem}\n")
        return problem.exit_code


if __name__ == "__main__":
    sys.exit(main())
