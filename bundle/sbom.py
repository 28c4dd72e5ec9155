"""What is the image made of? A software bill of materials in CycloneDX 1.6: packages, system libraries, and the model itself.

Written by hand, as the tools that make one leave out hashes and know no models; the tests validate it against the schema.
"""

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving.model import Model

Component = dict[str, Any]


def document(listed: str, wheels: Path, model: Model, name: str, number: int, created: str, image: str) -> Component:
    """listed: the image's own /components.txt. wheels: the folder it was made from."""
    components = [*_components(listed, wheels), _model(model, name, number)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, image + model.digest)}",
        "version": 1,
        "metadata": {
            "timestamp": created,
            "component": {
                "type": "container", "bom-ref": "image", "name": "unjar", "version": str(number),
                "hashes": [{"alg": "SHA-256", "content": image.removeprefix("sha256:")}],
            },
        },
        "components": components,
        "dependencies": [{"ref": "image", "dependsOn": [component["bom-ref"] for component in components]}],
    }  # fmt: skip


def _components(listed: str, wheels: Path) -> Iterator[Component]:
    for line in listed.splitlines():
        kind, name, version = line.split(" ")
        if kind == "pypi":
            purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
            (wheel,) = wheels.glob(f"{name}-{version}-*.whl")
            hashes = [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}]
            yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "hashes": hashes}
        else:
            # Of a distribution's package the version says which revision, build and architecture it is.
            kept = version.replace("+", "%2B").replace(":", "%3A").replace("~", "%7E")
            purl = f"pkg:deb/debian/{name}@{kept}" if kind == "deb" else f"pkg:generic/{name}@{version}"
            yield {
                "type": "library" if kind == "deb" else "platform",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "purl": purl,
            }


def _model(model: Model, name: str, number: int) -> Component:
    parity, source = model.parity, model.provenance
    compared = sum(parity["rows"].values())
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": name,
        "version": str(number),
        "description": f"{source['estimator']}, translated from scikit-learn to ONNX",
        "hashes": [{"alg": "SHA-256", "content": model.digest}],
        "modelCard": {
            "modelParameters": {
                "modelArchitecture": str(source["estimator"]),
                "inputs": [{"format": _tensor(tensor)} for tensor in model.signature.inputs],
                "outputs": [{"format": _tensor(tensor)} for tensor in model.signature.outputs],
            },
            "quantitativeAnalysis": {
                "performanceMetrics": [
                    {"type": f"largest difference from scikit-learn, output {output}", "value": f"{gap:.2e}"}
                    for output, gap in parity["max_abs"].items()
                ]
            },
            "considerations": {
                "technicalLimitations": [f"evidence of parity: {parity['evidence']}; {compared} rows were compared"]
            },
        },
        "properties": [{"name": "unjar:source_sha256", "value": str(source["source_sha256"])}],
    }  # fmt: skip


def _tensor(tensor: Any) -> str:
    return f"{tensor.name} {tensor.datatype} {list(tensor.shape)}"
