"""What does scikit-learn itself answer to these rows? `python -m conversion.answer model.pkl rows.json > answers.json`.

For who looks into a customer's case: the pickle is opened in the sandbox, as for a conversion. rows.json holds `inputs` as the
Open Inference Protocol writes them; the answer holds `outputs`, or `refused` with what scikit-learn says. Exits 0, or 1 or 2
like convert.py.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from conversion import returned
from conversion.errors import Refused, Unreadable
from conversion.parent import copied
from conversion.sandbox import Limits, run


def answer(
    source: Path, inputs: list[dict[str, Any]], trust: tuple[str, ...] = (), limits: Limits | None = None
) -> dict[str, Any]:
    """Raises Refused or Unreadable."""
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="unjar-") as name:
        folder = Path(name)
        copied(source, folder / "model.pkl", limits)
        (folder / "asked.json").write_text(json.dumps({"inputs": inputs, "trusted": list(trust)}))
        run("conversion.answering", [], folder, limits)
        if (folder / "refusal.json").exists():
            raise returned.refusal(folder / "refusal.json")
        return returned.document(folder / "answers.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conversion.answer", description=__doc__)
    parser.add_argument("source", type=Path, metavar="model.pkl")
    parser.add_argument("rows", type=Path, metavar="rows.json")
    parser.add_argument("--trust", nargs="+", default=[], metavar="module.Class")
    given = parser.parse_args()
    try:
        inputs = json.loads(given.rows.read_bytes())["inputs"]
        sys.stdout.write(json.dumps(answer(given.source, inputs, tuple(given.trust))) + "\n")
        return 0
    except (Refused, Unreadable) as problem:
        sys.stderr.write(f"{problem.prefix} {given.source}: {problem}\n")
        return problem.exit_code
    except (OSError, ValueError, KeyError, TypeError) as problem:
        sys.stderr.write(f"cannot read {given.rows}: {problem}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
