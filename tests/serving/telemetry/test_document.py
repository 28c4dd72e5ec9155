"""Is a report read only when it is whole, signed by the site it names, and holds nothing that is not on the list?"""

import copy
import json
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from serving.telemetry import document
from serving.telemetry.document import NotAReport
from tests.serving.asking import ROOT
from tests.serving.telemetry.sites import DIGEST

KEY = ec.generate_private_key(ec.SECP256R1())
SCHEMA = json.loads((ROOT / "docs/report-schema.json").read_text())
SAID: dict[str, Any] = {
    "format": document.FORMAT,
    "site": document.fingerprint(KEY.public_key()),
    "chain": "0123456789abcdef",
    "sequence": 1,
    "previous": None,
    "made": "2026-11-30T12Z",
    "fewest": 5,
    "server": {"unjar": "0.1.0", "onnxruntime": "1.32.0", "python": "3.12.1", "machine": "x86_64"},
    "models": [
        {
            "digest": DIGEST,
            "release": 3,
            "hours": [
                {
                    "hour": "2026-11-30T11Z",
                    "requests": {"answered": 90, "invalid_input": None, "deadline_exceeded": None, "pooled": 6},
                    "rows": 90,
                    "missed": 0,
                    "latency": [0, 90, *[0] * 15],
                    "batches": {"counts": [0, None, None, *[0] * 8], "pooled": 50},
                }
            ],
            "looked_at": None,
            "columns": {"X[0]": [1, 2, 3], "distance[0]": None},
            "outcomes": {"verdict": [10, 0], "rating": None},
        }
    ],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    said = copy.deepcopy(SAID)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place: Any = said
    for step in steps:
        place = place[step]
    place[last] = value
    return said


def test_what_was_signed_is_read_back() -> None:
    report = document.read(document.sign(SAID, KEY))
    assert report.said == SAID
    assert report.signed_by(KEY.public_key())
    assert not report.signed_by(ec.generate_private_key(ec.SECP256R1()).public_key())


def test_one_changed_count_breaks_the_signature() -> None:
    content = document.sign(SAID, KEY).replace(b'"rows": 90', b'"rows": 91')
    assert not document.read(content).signed_by(KEY.public_key())


# Where, what, and what the message must name.
STRANGE: list[tuple[str, Any, str]] = [
    ("note", "a secret", "note"),
    ("models/0/inputs", [1.5], "inputs"),
    ("models/0/hours/0/client", "10.0.0.1", "client"),
    ("models/0/hours/0/requests/10.0.0.1", 50, "10.0.0.1"),
    ("models/0/columns/a secret", [1], "a secret"),
    ("models/0/columns/X[0]", [1, "a secret"], "a secret"),
    ("models/0/columns/X[0]", [True], "True"),
    ("models/0/columns/X[0]", [None, 3], "None"),
    ("models/0/columns/X[0]", [], "0 counts"),
    ("models/0/outcomes/measured", [1.25], "1.25"),
    ("models/0/outcomes/comment", [1], "comment"),
    ("models/0/hours/0/latency", [1, 2], "2 counts"),
    ("models/0/hours/0/rows", -1, "-1"),
    ("models/0/hours/0/hour", "2026-11-30T11:59Z", "11:59"),
    ("models/0/digest", "secret", "secret"),
    ("server/machine", "host name of somebody", "host name"),
    ("sequence", 0, "0"),
    ("sequence", True, "True"),
    ("site", "x" * 64, "xxx"),
    ("format", "unjar-report/2", "unjar-report/2"),
    ("models", {}, "dict"),
]


@pytest.mark.parametrize(("path", "value", "named"), STRANGE)
def test_nothing_that_is_not_on_the_list_can_be_signed(path: str, value: Any, named: str) -> None:
    with pytest.raises(NotAReport, match=named.replace("[", r"\[").replace("(", r"\(")):
        document.sign(changed(path, value), KEY)


@pytest.mark.parametrize(("path", "value", "named"), STRANGE)
def test_the_published_schema_refuses_the_same(path: str, value: Any, named: str) -> None:
    page = {"report": changed(path, value), "signature": "AAAA"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(page)


def test_the_published_schema_takes_what_is_signed() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(document.sign(SAID, KEY)))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[]", "'report' and 'signature'"),
        (b'{"report": {}, "signature": "AAAA"}', "lacks"),
        (b'{"report": {"a": 1, "a": 2}, "signature": "AAAA"}', "twice"),
        (b'{"report": {"a": 1.5}, "signature": "AAAA"}', "whole"),
        (b'{"report": {"a": NaN}, "signature": "AAAA"}', "whole"),
        (b"[" * 100_000, "nested|no JSON"),
    ],
)
def test_what_is_no_report_says_why(content: bytes, named: str) -> None:
    with pytest.raises(NotAReport, match=named):
        document.read(content)


def test_a_report_is_short_enough_to_read() -> None:
    text = document.sign(SAID, KEY).decode()
    assert max(map(len, text.splitlines())) < 200
    assert '"latency": [ 0, 90, 0' in text


def test_the_format_page_names_every_field() -> None:
    page = (ROOT / "docs/report-format.md").read_text()
    fields = {*SAID, *SAID["server"], *SAID["models"][0], *SAID["models"][0]["hours"][0], "pooled", "signature"}
    assert {field for field in fields if f"`{field}`" not in page} == set()
