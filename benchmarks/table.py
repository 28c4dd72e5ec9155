"""How do the outcomes read as docs/coverage.md?"""

import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.case import ACCEPTED, NOTHING, REFUSED, Outcome

PACKAGES = ("scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy")
LONGEST = 300
_HEAD = """# Coverage: which scikit-learn models are converted, and on what evidence

Written by `python benchmarks/conversion.py`; do not edit. Each model is fitted on small data, pickled and converted as a
user would. Every accepted model is then asked rows that the converter has not seen, made from the training data by other
code with other seeds: alone, in sevens and all at once. A *silent mismatch* is an answer further from scikit-learn's than
the model's own stated tolerance, or another label where scikit-learn's own scores are further apart than that.
"""


def table(estimators: Sequence[Outcome], pipelines: Sequence[Outcome]) -> str:
    """The whole page."""
    everything = [*estimators, *pipelines]
    parts = [_HEAD, *_headline(estimators, pipelines), *_silent(everything), *_slower(everything)]
    for title, group in (("Estimators", estimators), ("Pipelines", pipelines)):
        parts += [f"## {title} accepted\n", *_accepted(group), f"## {title} refused\n", *_refused(group)]
    nothing = ", ".join(one.name for one in everything if one.verdict == NOTHING)
    return "\n".join([*parts, "## Nothing to compare\n", f"No method answers new rows: {nothing}.\n"])


def _headline(estimators: Sequence[Outcome], pipelines: Sequence[Outcome]) -> Iterator[str]:
    everything = [*estimators, *pipelines]
    wrong = sum(bool(one.mismatches) for one in everything)
    rows = sum(one.judged["rows"] for one in everything if one.verdict == ACCEPTED)
    yield f"**{wrong} silent mismatches** in {_count(everything, ACCEPTED)} accepted models on {rows:,} rows.\n"
    yield "| | models | accepted | proved | bounded | tested | refused | nothing to compare | other |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for title, group in (("estimators", estimators), ("pipelines", pipelines)):
        kinds = Counter(one.evidence for one in group)
        known = [_count(group, ACCEPTED), kinds["proved"], kinds["bounded"], kinds["tested"]]
        known += [_count(group, REFUSED), _count(group, NOTHING)]
        other = len(group) - known[0] - known[4] - known[5]
        yield f"| {title} | {len(group)} | {' | '.join(map(str, known))} | {other} |"
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield f"\nPython {platform.python_version()}, {versions}; commit {_commit()}; {_machine()}.\n"
    open_ended = sum(one.judged["answered_all_the_same"] for one in everything if one.verdict == ACCEPTED)
    yield f"Rows that scikit-learn refuses and the served model answers: {open_ended}.\n"


def _count(group: Sequence[Outcome], verdict: str) -> int:
    return sum(one.verdict == verdict for one in group)


def _silent(everything: Sequence[Outcome]) -> Iterator[str]:
    yield "## Silent mismatches\n"
    wrong = [one for one in everything if one.mismatches]
    if not wrong:
        yield "None.\n"
        return
    yield from (f"- **{one.name}** ({one.candidate}): {_cell(said)}" for one in wrong for said in one.mismatches[:2])
    yield ""


def _slower(everything: Sequence[Outcome]) -> Iterator[str]:
    slow = [one for one in everything if one.verdict == ACCEPTED and one.onnx_us >= one.scikit_learn_us]
    yield "## Slower than scikit-learn on one row\n"
    said = (f"{one.name} ({one.onnx_us:.0f} µs against {one.scikit_learn_us:.0f} µs)" for one in slow)
    yield (", ".join(said) or "None") + ".\n"


def _accepted(group: Sequence[Outcome]) -> Iterator[str]:
    yield "| model | candidate | evidence | largest gap | bytes | µs | scikit-learn µs | s | peak MB | rows judged |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for one in group:
        if one.verdict == ACCEPTED:
            yield (
                f"| {one.name} | {one.candidate} | {one.evidence} | {one.max_abs:.0e} | {one.size_bytes:,} |"
                f" {one.onnx_us:.0f} | {one.scikit_learn_us:.0f} | {one.seconds:.0f} | {one.peak_bytes / 1e6:.0f} |"
                f" {one.judged['rows']:,} |"
            )
    yield ""


def _refused(group: Sequence[Outcome]) -> Iterator[str]:
    yield "| model | outcome | reason | seconds |"
    yield "|---|---|---|---|"
    for one in group:
        if one.verdict not in (ACCEPTED, NOTHING):
            yield f"| {one.name} | {one.verdict} | {_cell(_short(one.said))} | {one.seconds:.0f} |"
    yield ""


def _short(said: str) -> str:
    """Without the sentence that every refusal begins with."""
    reason = said.split(" answers as scikit-learn does; ")[-1]
    return reason if len(reason) <= LONGEST else reason[:LONGEST] + " …"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("`", "'")


def _commit() -> str:
    root = Path(__file__).resolve().parent.parent
    said = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"
