"""Do the recommender's routes hold to what the OpenAPI document says of them, whatever is asked?"""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from recommender.addition import RECOMMENDER
from serving.app import create_app
from serving.inference import Inference
from serving.metrics import Metrics
from serving.release import Opened
from serving.settings import Settings
from tests.recommender.conftest import ROOT
from tests.serving.asking import front

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
INFERENCE = Inference("model", Metrics(), max_rows=100, max_waiting=100)
INFERENCE.load(Opened((ROOT / "model.onnx").read_bytes(), "model.onnx"))
APP = create_app(INFERENCE, Settings(max_body_bytes=1 << 20), addition=RECOMMENDER)
schema = schemathesis.openapi.from_asgi("/openapi.json", front(INFERENCE, 1 << 20, APP)).include(path_regex="^/v1/")


@schema.parametrize()
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_route_answers_as_documented(case: Any) -> None:
    if case.path == "/v1/generate" and isinstance(case.body, dict) and "steps" not in case.body:
        # What takes long is asked for briefly.
        case.body["steps"] = 1
    case.call_and_validate(checks=CHECKS)
