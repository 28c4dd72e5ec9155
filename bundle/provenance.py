"""Out of what was this bundle made, and by what? An in-toto statement with a SLSA provenance, version 1."""

from pathlib import Path
from typing import Any

from bundle.release import digest_of
from serving import VERSION
from serving.model import Model

STATEMENT = "https://in-toto.io/Statement/v1"
SLSA = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:unjar:build:1"


def statement(
    model: Model, image: str, commit: str, locks: list[Path], parity: Path, created: str, number: int
) -> dict[str, Any]:
    """image: its ID, "sha256:...". parity: the report's page, which is one of the subjects."""
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": "model.onnx", "digest": {"sha256": model.digest}},
            {"name": "image", "digest": {"sha256": image.removeprefix("sha256:")}},
            {"name": "parity.html", "digest": {"sha256": digest_of(parity)}},
        ],
        "predicateType": SLSA,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"release": number},
                "internalParameters": {
                    "versions": dict(model.provenance["versions"]),
                    "repairs": list(model.provenance["repairs"]),
                },
                "resolvedDependencies": [
                    {"name": "model.pkl", "digest": {"sha256": str(model.provenance["source_sha256"])}},
                    {"name": "source", "digest": {"gitCommit": commit}},
                    *({"name": str(lock), "digest": {"sha256": digest_of(lock)}} for lock in locks),
                ],
            },
            "runDetails": {
                "builder": {"id": "urn:unjar:build.sh", "version": {"unjar": VERSION}},
                "metadata": {"startedOn": created},
            },
        },
    }
