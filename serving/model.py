"""What is in model.onnx, and does it answer on this machine as it did at the vendor's?

The bytes that are hashed are the bytes that are loaded.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import ModelRefused
from serving.runtime import open_session, runner, shrink
from serving.signature import DTYPES, Array, Signature, Tensor
from serving.telemetry.drift import Reference
from serving.verification import Gap, Verification

KEYS = ("signature", "verification", "parity", "provenance")
PREFIX = "unjar."
REFERENCE = PREFIX + "reference"
ONNX_TYPES = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float", "FP64": "double",
    "BYTES": "string",
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A loaded model.onnx with everything it says of itself."""

    session: Any
    digest: str
    signature: Signature
    verification: Verification
    parity: Mapping[str, Any]
    provenance: Mapping[str, Any]
    # How the vendor's rows are spread; models of before 2026-11-30 do not say.
    reference: Reference | None = None

    @classmethod
    def load(cls, path: Path) -> "Model":
        """Raises ModelRefused when there is no such file, or it is not one that convert.py wrote."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelRefused(f"{path}: cannot be read: {error.strerror}; convert.py writes it") from None
        return cls.from_bytes(content, str(path))

    @classmethod
    def from_bytes(cls, content: bytes, origin: str = "model.onnx") -> "Model":
        """As `load`, from the file's content."""
        try:
            session = open_session(content)
        except Exception as error:  # onnxruntime's exceptions share no base but this one
            raise ModelRefused(f"{origin}: onnxruntime cannot load it: {str(error).splitlines()[0]}") from None
        properties = session.get_modelmeta().custom_metadata_map
        missing = [PREFIX + key for key in KEYS if PREFIX + key not in properties]
        if missing:
            raise ModelRefused(f"{origin}: metadata {missing[0]!r} is missing; convert.py writes it")
        try:
            said = {key: json.loads(properties[PREFIX + key]) for key in KEYS}
            signature = Signature.from_json(said["signature"])
            verification = Verification.from_json(said["verification"])
            reference = Reference.from_json(json.loads(properties[REFERENCE])) if REFERENCE in properties else None
        except (KeyError, TypeError, ValueError) as error:
            raise ModelRefused(f"{origin}: its metadata cannot be read: {error!r}; convert the model again") from None
        _check_agrees(signature, session, origin)
        digest = hashlib.sha256(content).hexdigest()
        return cls(session, digest, signature, verification, said["parity"], said["provenance"], reference)

    @property
    def version(self) -> str:
        """Names these very bytes; short enough for a URL."""
        return self.digest[:12]

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        """The named outputs (default: all) for feeds that `signature.accept` returned.

        Raises InvalidInput for rows on which the model is not defined; any of its outputs tells, so all are computed.
        """
        answers = dict(zip(self._names, self._runner(self._names, feeds), strict=True))
        self.signature.confirm(answers)
        return answers if outputs is None else {name: answers[name] for name in outputs}

    def give_back(self) -> None:
        """The memory that onnxruntime keeps for the largest run there was."""
        rows = self.verification.rows
        shrink(self.session, {tensor.name: rows[tensor.name][:1] for tensor in self.signature.inputs})

    @cached_property
    def _runner(self) -> Callable[[list[str], Any], list[Any]]:
        return runner(self.session)

    @cached_property
    def _names(self) -> list[str]:
        return [tensor.name for tensor in self.signature.outputs]

    def example(self) -> dict[str, Any] | None:
        """A request for the first verification row that JSON can write."""
        rows = self.verification.rows
        for row in range(self.verification.size):
            part = {tensor: rows[tensor.name][row : row + 1] for tensor in self.signature.inputs}
            if all(array.dtype.kind != "f" or np.isfinite(array).all() for array in part.values()):
                return {
                    "inputs": [
                        {"name": t.name, "datatype": t.datatype, "shape": list(array.shape), "data": array.reshape(-1).tolist()}
                        for t, array in part.items()
                    ]
                }
        return None

    def verify(self) -> dict[str, Gap]:
        """Replays the verification rows here. Raises ModelRefused when one does not hold."""
        gaps = self.verification.replay(self.run)
        for name, gap in gaps.items():
            if not gap.passed:
                raise ModelRefused(
                    f"verification row {gap.worst_row}, output {name!r}: scikit-learn answered {gap.expected}, this"
                    f" machine answers {gap.answered} ({gap.wrong} of {gap.rows} rows are out of tolerance)"
                )
        return gaps


def _check_agrees(signature: Signature, session: Any, origin: str) -> None:
    """The signature is what is enforced, so it must be what the graph has."""
    for side, said, found in (
        ("input", signature.inputs, session.get_inputs()),
        ("output", signature.outputs, session.get_outputs()),
    ):
        wanted = [(tensor.name, f"tensor({ONNX_TYPES[tensor.datatype]})", _free(tensor)) for tensor in said]
        present = [(node.name, node.type, [d if isinstance(d, int) else None for d in node.shape]) for node in found]
        if wanted != present:
            raise ModelRefused(f"{origin}: its signature says {side}s {wanted}, its graph has {present}")


def _free(tensor: Tensor) -> list[int | None]:
    return [None if size == -1 else size for size in tensor.shape]


assert DTYPES.keys() == ONNX_TYPES.keys()
