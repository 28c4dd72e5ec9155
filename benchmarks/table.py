"""How do the outcomes read as docs/coverage.md?"""

import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.case import ACCEPTED, HANG, NOTHING, REFUSED, Outcome

PACKAGES = ("scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy")
LONGEST = 300
_HEAD = """# Coverage: which scikit-learn models are converted, and on what evidence

Written by `python benchmarks/conversion.py`; do not edit. Each model is fitted on small data, pickled and converted as a
user would. Every accepted model is then asked rows that the converter has not seen, made from the training data by other
code with other seeds: alone, in sevens and all at once. A *silent mismatch* is an answer further from scikit-learn's than
the model's own stated tolerance, or another label where what scikit-learn's `predict` compares is further apart than that.
*Open* counts the answers that differ where scikit-learn leaves them open: within its own margin, or where it gives both
answers itself to rows that differ in the last digits of a double.
"""


def table(groups: Mapping[str, Sequence[Outcome]]) -> str:
    """The whole page."""
    everything = [one for group in groups.values() for one in group]
    parts = [_HEAD, *_headline(groups, everything), *_silent(everything), *_answered(everything), *_slower(everything)]
    for title, group in groups.items():
        parts += [f"## {title} accepted\n", *_accepted(group), f"## {title} refused\n", *_refused(group)]
    nothing = ", ".join(one.name for one in everything if one.verdict == NOTHING)
    return "\n".join([*parts, "## Nothing to compare\n", f"No method answers new rows: {nothing}.\n"])


def _headline(groups: Mapping[str, Sequence[Outcome]], everything: Sequence[Outcome]) -> Iterator[str]:
    wrong, accepted = sum(bool(one.mismatches) for one in everything), _count(everything, ACCEPTED)
    rows, ties, edges = (_sum(everything, name) for name in ("rows", "ties", "edges"))
    yield f"**{wrong} silent mismatches** in {accepted} accepted models on {rows:,} rows; {_count(everything, HANG)} hangs.\n"
    yield f"Answers that differ within scikit-learn's own margin of a tie: {ties:,}; by its own rounding: {edges:,}.\n"
    yield "| | models | accepted | proved | bounded | tested | refused | nothing to compare | other |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for title, group in groups.items():
        kinds = Counter(one.evidence for one in group)
        known = [_count(group, ACCEPTED), kinds["proved"], kinds["bounded"], kinds["tested"]]
        known += [_count(group, REFUSED), _count(group, NOTHING)]
        other = len(group) - known[0] - known[4] - known[5]
        yield f"| {title} | {len(group)} | {' | '.join(map(str, known))} | {other} |"
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield f"\nPython {platform.python_version()}, {versions}; commit {_commit()}; {_machine()}.\n"


def _sum(everything: Sequence[Outcome], name: str) -> int:
    return sum(int(one.judged.get(name, 0)) for one in everything)


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


def _answered(everything: Sequence[Outcome]) -> Iterator[str]:
    yield "## Rows that scikit-learn refuses and the served model answers\n"
    some = [one for one in everything if one.judged.get("answered")]
    yield from (f"- {one.name}: " + ", ".join(f"{n} of {kind!r}" for kind, n in one.judged["answered"].items()) for one in some)
    yield "" if some else "None.\n"


def _slower(everything: Sequence[Outcome]) -> Iterator[str]:
    slow = [one for one in everything if one.verdict == ACCEPTED and one.onnx_us >= one.scikit_learn_us]
    yield "## Slower than scikit-learn on one row\n"
    said = (f"{one.name} ({one.onnx_us:.0f} µs against {one.scikit_learn_us:.0f} µs)" for one in slow)
    yield (", ".join(said) or "None") + ".\n"


def _accepted(group: Sequence[Outcome]) -> Iterator[str]:
    """`faster`: how many times, on one row."""
    yield "| model | candidate | evidence | largest gap | bytes | µs | faster | s | peak MB | rows judged | open |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for one in group:
        if one.verdict == ACCEPTED:
            faster = one.scikit_learn_us / one.onnx_us
            yield (
                f"| {one.name} | {one.candidate} | {one.evidence} | {one.max_abs:.0e} | {one.size_bytes:,} |"
                f" {one.onnx_us:.0f} | {faster:.{int(faster < 10)}f}× | {one.seconds:.0f} | {one.peak_bytes / 1e6:.0f} |"
                f" {one.judged['rows']:,} | {one.judged.get('ties', 0) + one.judged.get('edges', 0)} |"
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
