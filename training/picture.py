"""How many coordinates does a shape need? The held-out error against dimension, next to CST, as an SVG."""

import io
from collections.abc import Mapping

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

_STYLE = {
    "svg.hashsalt": "unjar",
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
}
_LINES = (("encoder", "encoder, families held out", "#0b5fa5", "o"), ("cst", "CST fit, as many coefficients", "#b4530a", "s"))
_GREY = "#555555"


def draw(scores: Mapping[str, Mapping[str, Mapping[str, float]]], shipped: int, bound: float) -> bytes:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for key, label, colour, marker in _LINES:
            dimensions, points = [int(dimension) for dimension in scores[key]], scores[key].values()
            left.plot(
                dimensions, [point["mean_rms_percent_chord"] for point in points], color=colour, marker=marker, label=label
            )
            right.plot(dimensions, [100 * point["in_tolerance"] for point in points], color=colour, marker=marker)
        left.set(yscale="log", ylabel="mean RMS error, % chord", title="Distance from the true surface")
        left.set_yticks([0.01, 0.03, 0.1, 0.3], ["0.01", "0.03", "0.1", "0.3"])
        left.minorticks_off()
        left.legend(frameon=False)
        right.set(ylim=(0, 100), ylabel="shapes, %", title="Every point within wind-tunnel tolerance")
        right.axhline(100 * bound, color=_GREY, linestyle=":")
        right.text(4, 100 * bound + 2, "bound", color=_GREY)
        for axes in (left, right):
            axes.set_xlabel("dimension of the shape block")
            axes.axvline(shipped, color=_GREY, linestyle="--")
            axes.text(shipped + 0.5, 0.97, f"shipped: {shipped}", transform=axes.get_xaxis_transform(), color=_GREY, va="top")
        out = io.BytesIO()
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None})
    return out.getvalue()
