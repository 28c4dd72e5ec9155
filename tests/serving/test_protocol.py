"""Is every request either read in its one way or refused with a sentence that helps?"""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import protocol
from serving.errors import InvalidInput, InvalidJson, Refusal, TooManyRows
from serving.protocol import Question
from serving.signature import Signature, Tensor
from tests.serving import graphs
from tests.serving.asking import question

LINEAR = graphs.load(graphs.linear()).signature
TABLE = graphs.load(graphs.table()).signature
TEXT = graphs.load(graphs.echo("BYTES")).signature
ROWS = 100
RAW = np.array([[1, 2, 3]], np.float32).tobytes()


def decode(body: Any, header: str | None = None) -> Question:
    text = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return protocol.Decoder(LINEAR, ROWS).decode(text, header)


def binary(size: Any, raw: bytes, header: str | None = None, **more: Any) -> Question:
    entry = {"name": "X", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": size}}
    text = json.dumps({"inputs": [entry | more]}).encode()
    return decode(text + raw, header or str(len(text)))


X = '{"name":"X","datatype":"FP32","shape":[1,3],"data":[1,2,3]}'


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("", "invalid_json", "zero-length"),
        ("{", "invalid_json", "at byte 1"),
        (b"\xef\xbb\xbf{}", "invalid_json", "BOM"),
        (b'{"inputs":"\xff"}', "invalid_json", "not valid UTF-8"),
        ('{"inputs":"\\ud800"}', "invalid_json", "surrogate"),
        ("[" * 100_000, "invalid_json", "depth limit"),
        (f'{{"inputs":[{X}]}}x', "invalid_json", "unexpected content after document"),
        (f'{{"inputs":[{X}],"a":"\\n","b":' + "[" * 1000 + "]" * 1000 + "}", "invalid_json", "nested too deeply"),
        (f'{{"inputs":[{X.replace("3]}", "NaN]}")}]}}', "invalid_json", "expected a JSON value"),
        (f'{{"inputs":[{X.replace("3]}", "Infinity]}")}]}}', "invalid_json", "expected a JSON value"),
        (f'{{"inputs":[{X.replace("3]}", "1e400]}")}]}}', "invalid_json", "infinity when parsed"),
        ("[]", "invalid_request", "expected a JSON object with 'inputs'"),
        ("null", "invalid_request", "expected a JSON object"),
        ({}, "invalid_request", "'inputs' is missing"),
        ({"inputs": {}}, "invalid_request", "'inputs' is an object, expected a list"),
        ({"inputs": []}, "invalid_request", "'inputs' is empty"),
        ({"inputs": ["X"]}, "invalid_request", "'inputs' holds 'X', expected objects"),
        ({"inputs": [{}]}, "invalid_request", "an input: 'name' is missing"),
        ({"inputs": [{"name": 5}]}, "invalid_request", "'name' is 5, expected a string"),
        ({"inputs": [{"name": "X" * 257}]}, "invalid_request", "its name has 257 characters"),
        ({"inputs": [{"name": "X"}]}, "invalid_request", "input 'X': 'datatype' is missing"),
        (question([1, 2, 3], datatype="BF16"), "invalid_input", "datatype 'BF16' is not one of BOOL, UINT8"),
        (question([1, 2, 3], datatype="X" * 10**5), "invalid_input", "XXX...' is not one of"),
        (question(None), "invalid_request", "'data' is null, expected a list"),
        (question([1], shape=[-1, 3]), "invalid_input", "shape holds -1"),
        (question([1], shape=[1.0, 3]), "invalid_input", "shape holds 1.0"),
        (question([1], shape=[True, 3]), "invalid_input", "shape holds a boolean"),
        (question([1], shape=[1] * 9), "invalid_input", "shape has 9 sizes, expected 1 to 8"),
        (question([1], shape=[1 << 40, 1 << 40]), "too_many_rows", "at most 100 are accepted"),
        (question([1, 2, 3], id=5), "invalid_request", "'id' is 5, expected a string"),
        (question([1, 2, 3], id=None), "invalid_request", "'id' is null"),
        (question([1, 2, 3], parameters=[]), "invalid_request", "'parameters' is a list, expected an object"),
        (question([1, 2, 3], parameters={"binary_data_output": 1}), "invalid_request", "is 1, expected a boolean"),
        (question([1, 2, 3], outputs=[{"name": "nope"}]), "invalid_input", "['predict']"),
        (question([1, 2, 3], outputs=[{"name": "predict"}] * 2), "invalid_request", "asked for twice"),
        (f'{{"inputs":[{X},{X}]}}', "invalid_input", "input 'X' is there twice"),
        ({"inputs": [json.loads(X) | {"parameters": {"binary_data_size": 12}}]}, "invalid_request", "both 'data' and"),
    ],
)  # fmt: skip
def test_a_bad_request_is_refused_with_a_sentence(body: Any, code: str, message: str) -> None:
    with pytest.raises(Refusal) as refusal:
        decode(body)
    assert refusal.value.code == code
    assert message in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    "body",
    [
        f'{{"inputs":[{X[:-1]},"data":[4,5,6]}}]}}',
        f'{{"inputs":[{X[:-1]},"dat\\u0061":[4,5,6]}}]}}',
        f'{{"inputs":[{X}],"inputs":[{X}]}}',
        f'{{"inputs":[{X}],"id":"a","id":"b"}}',
        f'{{"inputs":[{X}],"ignored":{{"k":1,"k":1}}}}',
        f'{{"inputs":[{X}],"outputs":[{{"name":"predict","name":"predict"}}]}}',
    ],
)
def test_a_key_that_is_there_twice_is_refused(body: str) -> None:
    with pytest.raises(InvalidJson, match="twice"):
        decode(body)


def test_text_with_quotation_marks_is_no_repeated_key() -> None:
    entry = {"name": "X", "datatype": "BYTES", "shape": [1, 2], "data": ['say "hi"', "\\"]}
    body = json.dumps({"inputs": [entry], "id": '"'}).encode()
    assert protocol.Decoder(TEXT, ROWS).decode(body, None).feeds["X"].tolist() == [['say "hi"', "\\"]]


def test_unknown_parameters_and_fields_are_ignored() -> None:
    asked = decode(question([1, 2, 3], parameters={"priority": 1, "x": ["y", {"z": "w"}]}, extra="e", id="7"))
    assert asked.form.id == "7"
    assert asked.feeds["X"].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("outputs", [{}, {"outputs": []}])
def test_no_selection_means_all_outputs(outputs: dict[str, Any]) -> None:
    names = [tensor.name for tensor, _ in decode(question([1, 2, 3], **outputs)).form.outputs]
    assert names == ["predict"]


def test_outputs_come_in_the_order_asked_for_each_in_its_own_form() -> None:
    inputs = [{"name": "age", "datatype": "FP64", "shape": [1, 1], "data": [2.5]},
              {"name": "city", "datatype": "BYTES", "shape": [1, 1], "data": ["Köln"]}]  # fmt: skip
    outputs = [{"name": "old"}, {"name": "label", "parameters": {"binary_data": False}}]
    body = json.dumps({"inputs": inputs, "outputs": outputs, "parameters": {"binary_data_output": True}}).encode()
    asked = protocol.Decoder(TABLE, ROWS).decode(body, None)
    assert [(tensor.name, raw) for tensor, raw in asked.form.outputs] == [("old", True), ("label", False)]
    answers = {"old": np.array([[1]]), "label": np.array([["Köln"]], object)}
    answer = protocol.Encoder(TABLE, "m", "1").encode(asked.form, answers)
    said = json.loads(answer.body[: answer.json_size])
    assert said["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert said["outputs"][1]["data"] == ["Köln"]
    assert answer.body[answer.json_size :] == np.array([1]).tobytes()


def wide(datatype: str, **more: Any) -> tuple[protocol.Form, protocol.Encoder]:
    """A form of two rows, and the encoder that has answered one of it."""
    signature = Signature((Tensor("X", datatype, (-1, 3)),), (Tensor("Y", datatype, (-1, 2), **more),))
    body = json.dumps(question([1, 2, 3, 4, 5, 6], [2, 3], datatype, id="q") if datatype != "BYTES" else
                      question(["a"] * 6, [2, 3], datatype, id="q")).encode()  # fmt: skip
    form, encoder = protocol.Decoder(signature, ROWS).decode(body, None).form, protocol.Encoder(signature, "m", "1")
    encoder.encode(form, {"Y": np.zeros((2, 2), signature.outputs[0].dtype)})
    return form, encoder


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT8"])
def test_answers_written_together_are_the_bytes_of_each_alone(datatype: str) -> None:
    form, encoder = wide(datatype)
    answers = (np.arange(12).reshape(6, 2) / 2).astype(form.outputs[0][0].dtype)
    alone = [encoder.encode(form, {"Y": answers[i : i + 2]}).body for i in (0, 2, 4)]
    assert encoder.encode_all(form, {"Y": answers}, 3) == alone


def test_answers_of_which_one_cannot_be_written_or_cut_apart_are_written_each_alone() -> None:
    form, encoder = wide("FP64", allow_nan=True)
    assert encoder.encode_all(form, {"Y": np.array([[1, 2], [3, 4], [5, np.nan], [7, 8]])}, 2) is None
    # Not as many rows as were asked, and too many to be worth it.
    assert encoder.encode_all(form, {"Y": np.zeros((2, 2))}, 2) is None
    many = protocol.MOST_TOGETHER // 4 + 1
    assert encoder.encode_all(form, {"Y": np.zeros((2 * many, 2))}, many) is None
    form, encoder = wide("BYTES")
    assert encoder.encode_all(form, {"Y": np.full((4, 2), "],[", object)}, 2) is None


def test_raw_bytes_behind_the_json_are_the_tensor() -> None:
    assert binary(12, RAW).feeds["X"].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("size", "raw", "header", "message"),
    [
        (12, RAW[:-1], None, "binary_data_size is 12, 11 bytes are left"),
        (12, RAW + b"x", None, "add up to 12 bytes, 13 follow the JSON"),
        (11, RAW[:-1], None, "is 12 bytes, binary data has 11"),
        (-1, RAW, None, "binary_data_size is -1"),
        (True, RAW, None, "'binary_data_size' is a boolean"),
        ("12", RAW, None, "'binary_data_size' is '12', expected a whole number"),
        (12, RAW, "9999", "says 9999 bytes of JSON"),
        (12, RAW, "-5", "'-5' is not a number of bytes"),
        (12, RAW, "1e2", "'1e2' is not a number of bytes"),
        (12, RAW, "٣", "is not a number of bytes"),
        (12, RAW, "9" * 100, "is not a number of bytes"),
        (12, RAW, "20", "not JSON"),
    ],
)
def test_a_wrong_count_of_bytes_is_refused(size: Any, raw: bytes, header: str | None, message: str) -> None:
    with pytest.raises(Refusal) as refusal:
        binary(size, raw, header)
    assert message in str(refusal.value)


def test_binary_data_without_the_header_is_refused() -> None:
    entry = {"name": "X", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}
    with pytest.raises(Refusal, match="needs the header inference-header-content-length"):
        decode({"inputs": [entry]})


def test_a_header_length_of_zero_is_one_tensor_of_raw_bytes() -> None:
    asked = decode(RAW * 2, "0")
    assert asked.feeds["X"].shape == (2, 3)
    assert asked.form.outputs[0][1]
    with pytest.raises(InvalidInput, match="13 bytes are not whole rows of 12 bytes"):
        decode(RAW + b"x", "0")
    with pytest.raises(TooManyRows):
        decode(RAW * 101, "0")
    for signature in (TABLE, TEXT):
        with pytest.raises(Refusal, match="one input of numbers"):
            protocol.Decoder(signature, ROWS).decode(RAW, "0")


def refused_or_read(body: Any, header: str | None = None) -> bool:
    try:
        decode(body, header)
    except Refusal as refusal:
        return refusal.status in (400, 413)
    return True


@given(st.binary(max_size=200), st.none() | st.integers(0, 220).map(str))
def test_any_bytes_are_read_or_refused(body: bytes, header: str | None) -> None:
    assert refused_or_read(body, header)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "data", "shape", "x"]), inner),
    max_leaves=12,
)
DATATYPE = st.sampled_from(["FP32", "INT8", "BYTES", "BOOL"]) | JSON


@given(
    st.fixed_dictionaries({"name": JSON | st.just("X"), "datatype": DATATYPE, "shape": JSON | st.just([1, 3]), "data": JSON})
)
def test_any_json_is_read_or_refused(entry: dict[str, Any]) -> None:
    assert refused_or_read({"inputs": [entry]})


def test_a_nan_that_signals_is_widened_without_a_word() -> None:
    """Found by odd requests: numpy warned, and the warning went to the log as no line of ours."""
    wide = Signature((Tensor("X", "FP64", (-1, 1), True, True),), (Tensor("Y", "FP64", (-1, 1)),))
    text = b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,1],"parameters":{"binary_data_size":4}}]}'
    question = protocol.Decoder(wide, ROWS).decode(text + b"\x01\x00\x80\x7f", str(len(text)))
    assert np.isnan(question.feeds["X"]).all()
