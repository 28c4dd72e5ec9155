"""Do the figures say what happened, and nothing a client chose?"""

import re

from prometheus_client.parser import text_string_to_metric_families

from tests.serving import graphs
from tests.serving.asking import ROOT, Ask, asker, question

INFER = "/v2/models/test/infer"


def figures(ask: Ask) -> dict[str, float]:
    return read(ask("GET", "/metrics").text)


def read(text: str) -> dict[str, float]:
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_answers_rows_and_refusals_are_counted() -> None:
    ask = asker(graphs.linear())
    ask("POST", INFER, json=question([0] * 6, [2, 3]))
    ask("POST", INFER, content=b"{")
    ask("GET", "/v2/health/live")
    now = figures(ask)
    assert now["unjar_requests_total 200 /v2/models/{name}/infer"] == 1
    assert now["unjar_requests_total 400 /v2/models/{name}/infer"] == 1
    assert now["unjar_requests_total 200 /v2/health/live"] == 1
    assert now["unjar_refused_total invalid_json"] == 1
    assert now["unjar_rows_total"] == 2
    assert now["unjar_model_run_seconds_count"] == 1
    assert now["unjar_request_seconds_count /v2/models/{name}/infer"] == 2
    assert now["unjar_guard_refused_total unpickling"] == 0


def test_the_model_is_named_by_its_digest() -> None:
    ask = asker(graphs.linear())
    digest = ask("GET", "/v2/models/test").json()["properties"]["digest"]
    assert figures(ask)[f"unjar_model_info {digest} test {digest[:12]}"] == 1


def test_addresses_nobody_has_share_one_label() -> None:
    ask = asker(graphs.linear())
    for i in range(20):
        ask("GET", f"/secret-{i}")
    text = ask("GET", "/metrics").text
    assert "secret" not in text
    assert re.search(r'unjar_requests_total\{code="404",route="other"\} 20\.0', text)


def test_every_figure_is_documented() -> None:
    ask = asker(graphs.linear())
    ask("POST", INFER, json=question([0] * 3, [1, 3]))
    ask("POST", INFER, content=b"{")
    found = {}
    for family in text_string_to_metric_families(ask("GET", "/metrics").text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `((?:unjar|process)_\w+)` \| (.*?) ?\|", text, re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == found
