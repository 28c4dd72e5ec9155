"""python client.py [--url URL]: ask the server for the example, compare with scikit-learn's own answers, print PASS or FAIL.

One file, needs only requests, so it can be copied to any host. Exit code 0 PASS, 1 FAIL, 2 the server cannot be asked.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests


class CannotAsk(Exception):
    """There is no example, or nobody answers."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="default %(default)s")
    example_here = Path(__file__).with_name("example.json")
    parser.add_argument("--example", type=Path, default=example_here, help="what convert.py wrote; default: example.json here")
    parser.add_argument("--name", help="the model's name at the server; default: the example's")
    parser.add_argument("--batch", type=int, metavar="N", help="repeat the example's rows to N in one request")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="default %(default)g")
    given = parser.parse_args()
    try:
        example = read_example(given.example)
        if given.batch is not None:
            example = repeated(example, given.batch)
        passed = check(example, given.url.rstrip("/"), given.name or example["model"]["name"], given.timeout)
    except CannotAsk as problem:
        print(f"cannot ask: {problem}", file=sys.stderr)
        return 2
    print("PASS" if passed else "FAIL")
    return 0 if passed else 1


def read_example(path: Path) -> dict[str, Any]:
    """The rows and scikit-learn's answers that convert.py wrote."""
    try:
        example: dict[str, Any] = json.loads(path.read_text())
        if not (example["model"]["name"] and example["inputs"] and example["outputs"]):
            raise KeyError("inputs")
    except OSError as error:
        raise CannotAsk(f"{path}: {error.strerror}; convert.py writes it") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CannotAsk(f"{path}: not an example that convert.py wrote ({error!r})") from None
    return example


def repeated(example: dict[str, Any], count: int) -> dict[str, Any]:
    """The same example with its rows repeated to `count`."""
    if count < 1:
        raise CannotAsk(f"--batch {count}: at least one row is needed")

    def grown(tensor: dict[str, Any]) -> dict[str, Any]:
        rows, each = tensor["shape"][0], math.prod(tensor["shape"][1:])
        data = [value for i in range(count) for value in tensor["data"][i % rows * each : (i % rows + 1) * each]]
        return tensor | {"shape": [count, *tensor["shape"][1:]], "data": data}

    return example | {side: [grown(tensor) for tensor in example[side]] for side in ("inputs", "outputs")}


def check(example: dict[str, Any], url: str, name: str, timeout_s: float) -> bool:
    """Asks, prints what came back, and says whether every output is as scikit-learn answered."""
    question = {"inputs": example["inputs"], "outputs": [{"name": output["name"]} for output in example["outputs"]]}
    asked = ", ".join(f"{t['name']} {t['datatype']} {t['shape']}" for t in example["inputs"])
    print(f"asked     {url}/v2/models/{name}/infer  {asked}")
    response = post(f"{url}/v2/models/{name}/infer", question, timeout_s)
    if response.status_code != 200:
        print(f"answered  {response.status_code}: {response.text[:500]}")
        return False
    digest = response.headers.get("x-model-digest", "")
    print(f"answered  by model {digest[:12] or '(no digest)'}, request {response.headers.get('x-request-id', '(no id)')}")
    if digest != example["model"]["digest"]:
        print(f"note      the example was made for model {example['model']['digest'][:12]}")
    try:
        answered = {tensor["name"]: tensor for tensor in response.json()["outputs"]}
    except (ValueError, KeyError, TypeError):
        print("answered  something that is no Open Inference Protocol answer")
        return False
    verdicts = [same(wanted, answered.get(wanted["name"])) for wanted in example["outputs"]]
    return all(verdicts)


def post(url: str, question: dict[str, Any], timeout_s: float) -> requests.Response:
    try:
        with requests.Session() as session:
            # A proxy from the environment cannot reach this machine's own loopback.
            session.trust_env = urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1")
            return session.post(url, json=question, timeout=timeout_s)
    except requests.ConnectionError:
        raise CannotAsk(f"nobody answers at {url}; is the server running, and is this its address?") from None
    except requests.Timeout:
        raise CannotAsk(f"{url} did not answer within {timeout_s:g} s") from None
    except requests.RequestException as error:
        raise CannotAsk(f"{url}: {error}") from None


def same(wanted: dict[str, Any], found: dict[str, Any] | None) -> bool:
    """Prints how far one output is from what was wanted; labels and text must be equal."""
    name = wanted["name"]
    if found is None:
        print(f"output    {name}: missing")
        return False
    if found["shape"] != wanted["shape"] or len(found["data"]) != len(wanted["data"]):
        print(f"output    {name}: shape {found['shape']}, scikit-learn's is {wanted['shape']}")
        return False
    worst, wrong = 0.0, 0
    for expected, answered in zip(wanted["data"], found["data"], strict=True):
        gap, allowed = distance(expected, answered), 0.0
        if isinstance(expected, float):
            allowed = wanted["atol"] + wanted["rtol"] * abs(expected)
        worst, wrong = max(worst, gap), wrong + (gap > allowed)
    print(f"output    {name} {found['datatype']} {found['shape']}: at most {worst:.1e} from scikit-learn, {wrong} wrong")
    return wrong == 0


def distance(expected: Any, answered: Any) -> float:
    if isinstance(expected, float) and isinstance(answered, int | float):
        gap = abs(expected - answered)
        return math.inf if math.isnan(gap) else gap
    return 0.0 if expected == answered else math.inf


if __name__ == "__main__":
    sys.exit(main())
