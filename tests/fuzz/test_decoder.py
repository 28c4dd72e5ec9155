"""Any bytes: does the decoder give the very arrays that its plain twin gives, or refuse what the twin refuses?"""

import json
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz import mutations, oracle
from tests.fuzz.mutations import DATATYPES

DECODERS = {datatype: oracle.decoder(datatype) for datatype in DATATYPES}


def agree(datatype: str, body: bytes, header: str | None = None) -> str:
    found, code = oracle.answered(DECODERS[datatype], body, header)
    assert oracle.same(found, oracle.expected(datatype, body, header)), (datatype, body[:500], header, code)
    return code


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("seed", range(4))
def test_odd_requests(datatype: str, seed: int) -> None:
    rng = random.Random(seed)
    pool = [mutations.good(rng, datatype) for _ in range(300)]
    codes = set()
    for case in pool:
        codes.add(agree(datatype, *case))
        body, header = mutations.mutated(rng, case, rng.choice(pool))
        if header != "0":
            codes.add(agree(datatype, body, header))
    assert {"accepted", "invalid_json", "invalid_request", "invalid_input"} <= codes


@given(st.binary(max_size=200))
@example(b"")
@settings(max_examples=300, derandomize=True, deadline=None)
def test_any_bytes(body: bytes) -> None:
    for datatype in DATATYPES:
        agree(datatype, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["data", "name", "x"]), inner, max_size=3),
    max_leaves=12,
)
TENSOR = st.fixed_dictionaries(
    {"name": st.just("X") | JSON, "datatype": st.sampled_from([*DATATYPES, "FP32", "INT8"]) | JSON},
    optional={"shape": st.lists(st.integers(-1, 4), max_size=3) | JSON, "data": JSON, "parameters": JSON, "more": JSON},
)


@given(
    st.fixed_dictionaries({"inputs": st.lists(TENSOR, max_size=2) | JSON}, optional={"id": JSON, "outputs": JSON, "data": JSON})
)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_any_json_of_the_right_kind(document: Any) -> None:
    for form in ({}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}):
        body = json.dumps(document, **form).encode("utf-8", "surrogatepass")
        for datatype in DATATYPES:
            agree(datatype, body)


def table(rows: int, row: str, **changed: str) -> bytes:
    data = "[" + ",".join([row] * rows) + "]"
    fields = {"name": '"X"', "datatype": '"FP64"', "shape": f"[{rows},2]", "data": data} | changed
    return ('{"inputs":[{' + ",".join(f'"{key}":{value}' for key, value in fields.items()) + "}]}").encode()


@pytest.mark.parametrize("rows", [1, 50])
def test_nesting_that_a_flattening_reader_would_accept(rows: int) -> None:
    good = table(rows, "[1,2]")
    assert agree("FP64", good) == "accepted"
    for odd in ("[[],[1,2]]", "[1,[2]]", "[[1],2]", "[1],[2]", "[1,2,[]]", "[],[1,2]", "[[1,2]]", "1,[2]"):
        assert agree("FP64", good.replace(b"[1,2]", odd.encode(), 1)) != "accepted"


@pytest.mark.parametrize("number", mutations.NUMBERS)
@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT64", "UINT64", "INT8", "UINT8"])
def test_every_spelling_of_a_number(number: str, datatype: str) -> None:
    model = "FP32" if datatype == "FP16" else "INT64" if datatype in ("INT8", "UINT8") else datatype
    decoder = oracle.decoder(model) if model in DATATYPES else None
    for row in (f"[{number},1]", f"{number},1", f"[1, {number} ]"):
        body = table(1, row, datatype=f'"{datatype}"', data=f"[{row}]")
        if decoder is None:
            continue
        found, _ = oracle.answered(decoder, body, None)
        assert oracle.same(found, oracle.expected(model, body, None)), body
