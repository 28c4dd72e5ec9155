"""python -m benchmarks.fleet [--sites 1000] [--days 365] [--processes 2]: how long do the reports of many sites take?

Makes a report a day for each site, 24 hours of one model with 20 columns, signed and chained as a site's; then `monitoring
ingest` and `monitoring report` as a vendor starts them. Results: benchmarks/results/fleet.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.machine import described
from conversion.bins import reference_of
from monitoring.ingest import add_model, add_site
from monitoring.warehouse import open_warehouse
from serving.metrics import BATCH, REQUEST_S
from serving.telemetry import document, suppression
from serving.telemetry.outbox import named_hour

COLUMNS, START, DIGEST, FEWEST = 20, 490_000 - 490_000 % 24, "ab" * 32, 5
PLAIN = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def reports_of(task: tuple[int, int, str]) -> tuple[str, bytes]:
    """Writes one site's reports; returns its name and public key."""
    number, days, folder = task
    rng = np.random.default_rng(number)
    key = ec.generate_private_key(ec.SECP256R1())
    place = Path(folder) / f"site-{number:04d}"
    place.mkdir()
    previous = None
    for day in range(days):
        said = _said(rng, document.fingerprint(key.public_key()), day, previous)
        (place / f"report-{day + 1:06d}.json").write_bytes(document.sign(said, key))
        previous = document.Report(said, b"").digest
    return place.name, key.public_key().public_bytes(*PLAIN)


def _said(rng: Any, site: str, day: int, previous: str | None) -> dict[str, Any]:
    first = START + 24 * day
    answered = rng.poisson(400, 24)
    asked = [{"answered": int(count), "invalid_input": int(rng.poisson(4))} for count in answered]
    latency = [rng.multinomial(count, _shares(len(REQUEST_S) + 1)) for count in answered]
    batches = [rng.multinomial(count, _shares(len(BATCH) + 1)) for count in answered]
    return {
        "format": document.FORMAT, "site": site, "chain": site[:16], "sequence": day + 1, "previous": previous,
        "made": named_hour(first + 24), "fewest": FEWEST,
        "server": {"unjar": "0.1.0", "onnxruntime": "1.32.0", "python": "3.12.1", "machine": "x86_64"},
        "models": [{
            "digest": DIGEST, "release": 1,
            "hours": [
                {
                    "hour": named_hour(first + hour),
                    "requests": suppression.named(asked[hour], FEWEST),
                    "rows": int(answered[hour]), "missed": 0,
                    "latency": suppression.cells(latency[hour].tolist(), FEWEST),
                    "batches": suppression.cells(batches[hour].tolist(), FEWEST),
                }
                for hour in range(24)
            ],
            "looked_at": int(answered.sum()),
            "columns": {
                f"X[{column}]": suppression.cells([0, *rng.multinomial(answered.sum(), [0.1] * 10).tolist(), 0, 0], FEWEST)
                for column in range(COLUMNS)
            },
            "outcomes": {"verdict": suppression.cells([int(rng.poisson(80)), int(rng.poisson(8))], FEWEST)},
        }],
    }  # fmt: skip


def _shares(size: int) -> Any:
    falling = 0.5 ** np.arange(size)
    return falling / falling.sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    found: dict[str, Any] = {**described(), "sites": given.sites, "days": given.days, "processes": given.processes}
    with tempfile.TemporaryDirectory() as folder:
        warehouse = open_warehouse(f"{folder}/all.duckdb")
        rows = np.random.default_rng(0).standard_normal((2000, COLUMNS))
        add_model(warehouse, "model", DIGEST, reference_of({"X": rows}, {}, "data").to_json())
        (Path(folder) / "in").mkdir()
        with ProcessPoolExecutor(given.processes) as pool:
            tasks = [(number, given.days, f"{folder}/in") for number in range(given.sites)]
            for name, key in pool.map(reports_of, tasks, chunksize=4):
                add_site(warehouse, name, key)
        warehouse.close()
        found["bytes"] = sum(path.stat().st_size for path in Path(folder, "in").rglob("*.json"))
        base = [sys.executable, "-m", "monitoring", "--warehouse", f"{folder}/all.duckdb"]
        found["ingest_s"] = _timed([*base, "ingest", f"{folder}/in", "--processes", str(given.processes)])
        found["warehouse_bytes"] = Path(folder, "all.duckdb").stat().st_size
        hour = str(START + 24 * given.days)
        found["report_s"] = _timed([*base, "report", "-o", f"{folder}/page.html", "--hour", hour])
        found["page_bytes"] = Path(folder, "page.html").stat().st_size
        found["again_s"] = _timed([*base, "ingest", f"{folder}/in/site-0000"])
    print(json.dumps(found, indent=1))
    if (given.sites, given.days) == (1000, 365):
        Path("benchmarks/results/fleet.json").write_text(json.dumps(found, indent=1) + "\n")


def _timed(command: list[str]) -> float:
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    sys.stderr.write(done.stdout)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
