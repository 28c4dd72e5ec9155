"""Which refusals can a user of the server meet, and what do they look like?

The first line of a refusal's docstring is its meaning in docs/api.md.
"""

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):
    """The request is not one of the protocol's."""

    status = 400
    code = "invalid_request"

    def __init__(self, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.headers = dict(headers or {})


class InvalidInput(Refusal):
    """The tensors do not fit the model's signature."""

    code = "invalid_input"


class InvalidContour(Refusal):
    """The drawing is no wing section."""

    code = "invalid_contour"


class InvalidJson(Refusal):
    """The body, or its JSON part, is not strict JSON."""

    code = "invalid_json"


class InvalidEncoding(Refusal):
    """The body is not what its Content-Encoding says."""

    code = "invalid_encoding"


class NotInJson(Refusal):
    """The answer holds NaN or infinity, which JSON cannot write."""

    code = "not_in_json"


class InvalidHttp(Refusal):
    """The bytes are not HTTP that this server reads."""

    code = "invalid_http"


class Unauthorized(Refusal):
    """The request has no token that this server knows."""

    status = 401
    code = "unauthorized"


class Forbidden(Refusal):
    """The token is not for this address."""

    status = 403
    code = "forbidden"


class Conflict(Refusal):
    """What is asked for does not go with what the server has or does now."""

    status = 409
    code = "conflict"


class NotFound(Refusal):
    """There is no such address."""

    status = 404
    code = "not_found"


class UnknownModel(Refusal):
    """There is no such model, or no such version of it."""

    status = 404
    code = "unknown_model"


class MethodNotAllowed(Refusal):
    """The address exists, but not for this method."""

    status = 405
    code = "method_not_allowed"


class RequestTimeout(Refusal):
    """The request did not arrive in the time the server gives it."""

    status = 408
    code = "request_timeout"


class TooLarge(Refusal):
    """The body is larger than the server accepts."""

    status = 413
    code = "too_large"


class TooManyRows(Refusal):
    """The request holds more rows than the server accepts."""

    status = 413
    code = "too_many_rows"


class UnsupportedEncoding(Refusal):
    """The body's Content-Encoding is not gzip, deflate or identity."""

    status = 415
    code = "unsupported_encoding"


class HeadersTooLarge(Refusal):
    """The request's line and headers are larger than the server accepts."""

    status = 431
    code = "headers_too_large"


class Internal(Refusal):
    """The server failed; its log has the request id."""

    status = 500
    code = "internal"


class ModelFailed(Refusal):
    """The model's graph failed on rows that fit its signature."""

    status = 500
    code = "model_failed"


class NotReady(Refusal):
    """The model is not ready, or will not be."""

    status = 503
    code = "not_ready"


class Overloaded(Refusal):
    """Too much waits already; the header Retry-After says when to ask again."""

    status = 503
    code = "overloaded"


class DeadlineExceeded(Refusal):
    """The time that the request allowed was over before its turn."""

    status = 504
    code = "deadline_exceeded"


REFUSALS: tuple[type[Refusal], ...] = (
    Refusal, InvalidInput, InvalidContour, InvalidJson, InvalidEncoding, NotInJson, InvalidHttp, Unauthorized, Forbidden,
    NotFound, Conflict, UnknownModel, MethodNotAllowed, RequestTimeout, TooLarge, TooManyRows, UnsupportedEncoding,
    HeadersTooLarge, Internal, ModelFailed, NotReady, Overloaded, DeadlineExceeded,
)  # fmt: skip


def body_of(refusal: Refusal, request_id: str) -> dict[str, Any]:
    return {"error": str(refusal), "code": refusal.code, "request_id": request_id}


KINDS: dict[type, str] = {
    str: "a string", bool: "a boolean", type(None): "null", list: "a list", dict: "an object", int: "a whole number",
    float: "a number",
}  # fmt: skip


def shown(value: object) -> str:
    """A value from a request as messages quote it: a short text or number itself, of anything else the kind."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    return repr(value) if type(value) in (int, float) else KINDS[type(value)]


class ModelRefused(Exception):
    """The model file must not be served; the text says why."""


class CannotStart(Exception):
    """The server could not even look at the model; the text says what is in the way."""
