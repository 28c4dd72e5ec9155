"""python -m benchmarks.upgrade [--runs N]: what does it cost the users when a site changes its model, or its image?

Four users ask again and again, pausing 10 ms, while deploy.sh changes back and forth. Counted: questions that failed, and the
longest time that a user was without an answer. Needs an engine and the image unjar:latest. Results:
benchmarks/results/upgrade.json.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import described
from tests.bundle import signing
from tests.image.engine import docker, remove
from tests.image.site import KEY, Site, asked, bundle
from tests.serving import graphs

RESULTS = Path(__file__).resolve().parent / "results/upgrade.json"
NAME, PORT = "unjar-benchmark", 18770


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=6)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "Dockerfile").write_text("FROM unjar:latest\nLABEL again=yes\n")
        docker("build", "--network", "none", "--tag", "unjar-benchmark-again", str(folder))
        site = Site(folder, NAME, PORT)
        signing.public(site.key, KEY)
        try:
            result = {**described(), "runs": runs, "users": 4, "changes": measured(site, folder, runs)}
        finally:
            remove(NAME, f"{NAME}-candidate", f"{NAME}-previous")
            docker("rmi", "unjar-benchmark-again")
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(RESULTS.read_text())
    return 0


def measured(site: Site, folder: Path, runs: int) -> dict[str, Any]:
    one, other = graphs.linear(), graphs.linear(scale=1.5)
    found = {}
    for what, images in {"model": ("unjar:latest", "unjar:latest"), "image": ("unjar:latest", "unjar-benchmark-again")}.items():
        bundles = [bundle(folder / what / str(i), images[i], 1 + i, model) for i, model in enumerate((one, other))]
        assert site.deploy(bundles[0], "--allow-downgrade").returncode == 0
        failed, gaps, answered = [], [], 0
        for run in range(1, runs + 1):
            with asked(site) as heard:
                done = site.deploy(bundles[run % 2], "--allow-downgrade")
            assert done.returncode == 0, done.stderr
            failed.append(len(heard.failed))
            gaps.append(max(heard.gaps_s, default=0.0))
            answered += len(heard.digests)
        found[what] = {
            "answered": answered, "failed": sum(failed), "failed_each": failed, "gap_s_median": statistics.median(gaps),
            "gap_s_longest": max(gaps),
        }  # fmt: skip
    return found


if __name__ == "__main__":
    sys.exit(main())
