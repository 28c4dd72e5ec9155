"""What does a person want to know of a conversion, in fewer than 25 lines?"""

from typing import Any

from conversion.returned import printable


def summary(report: dict[str, Any], output: str) -> str:
    """The report as text for a terminal."""
    parity, model, speed = report["parity"], report["model"], report["speed"]
    source = report["provenance"]
    lines = [
        f"accepted   {source['estimator']} -> {output}",
        f"inputs     {_tensors(report['signature']['inputs'])}",
        f"outputs    {_tensors(report['signature']['outputs'])}",
        f"candidate  {parity['candidate']}{_list(', repaired: ', source['repairs'])}",
    ]
    lines += [f"           not {one['name']}: {one['verdict']}" for one in report["candidates"] if one["verdict"] != "accepted"]
    lines += [f"           {note[:200]}" for note in parity["notes"][:3]]
    lines.append(f"evidence   {_evidence(parity)}")
    for name in parity["max_abs"]:
        worst = _worst(report["findings"], name)
        tolerance = parity["tolerance"][name]
        lines.append(
            f"  {name}: at most {worst['max_abs']:.1e} apart on {worst['kind']!r} row {worst['worst_row']}"
            f" (allowed {tolerance['atol']:g} + {tolerance['rtol']:g} of the value)"
        )
    lines += [
        f"size       {source['source_bytes']:,} bytes of pickle -> {model['bytes']:,} bytes, sha256 {model['sha256'][:12]}",
        f"speed      one row: {speed['onnxruntime_us']:.0f} us, scikit-learn {speed['scikit_learn_us']:.0f} us"
        f" ({speed['scikit_learn_us'] / speed['onnxruntime_us']:.0f} times)",
        f"sandbox    {', '.join(report['protections'])}",
    ]
    return printable("\n".join(lines))


def _evidence(parity: dict[str, Any]) -> str:
    tested = f"{sum(parity['rows'].values())} rows of {len(parity['rows'])} kinds"
    if parity["ties"]:
        tested += f", {parity['ties']} labels within scikit-learn's own margin of a tie"
    if parity["evidence"] == "tested":
        return f"tested: {tested}"
    if parity["evidence"] == "bounded":
        return f"bounded: {bounded(parity['bound'])}; tested: {tested}"
    proof = parity["proof"]
    return (
        f"proved: {proof['splits']} splits in {proof['trees']} trees are the fitted ones for every input, sums of leaves within"
        f" {proof['rounding']:.0e}; tested: {tested}"
    )


def bounded(figures: dict[str, Any]) -> str:
    """The figures of a bound, in words."""
    text = f"within {figures['largest']:.0e} for every row in the stated range"
    if figures["largest"] > 1e-5 and "share" in figures:
        text = f"within {figures['share']:.0e} of scikit-learn's own number for every row in the stated range"
    text += f"; labels equal beyond a margin of {figures['margin']:.0e}" if "margin" in figures else ""
    return f"{text}, if {figures['assumed']}" if "assumed" in figures else text


def _worst(findings: list[dict[str, Any]], output: str) -> dict[str, Any]:
    """Among rows of ordinary size; of larger ones the gaps are larger, in proportion."""
    own = [f for f in findings if f["output"] == output]
    return max([f for f in own if " x " not in f["kind"]] or own, key=lambda finding: finding["max_abs"])


def _tensors(tensors: list[dict[str, Any]]) -> str:
    shown = [f"{t['name']} {t['datatype']} {['n', *t['shape'][1:]]}".replace("'", "") + taken(t) for t in tensors]
    more = len(shown) - 4
    return ", ".join(shown[:4]) + (f" and {more} more" if more > 0 else "")


def taken(tensor: dict[str, Any]) -> str:
    """What an input takes beside finite numbers, and up to which size."""
    said = [word for flag, word in (("allow_nan", "NaN"), ("allow_infinity", "infinity")) if tensor.get(flag)]
    size = [f"up to {max(tensor['range']['high']):.0e}"] if "range" in tensor else []
    return f" ({', '.join([*size, *said])})" if size or said else ""


def _list(before: str, names: list[str]) -> str:
    return before + ", ".join(names) if names else ""
