// Which sections gain most for the least change? Better ones are round dots, generated ones diamonds, nearest ones squares.

import { $, number, signed } from "./dom.js";
import { makePlot } from "./plot.js";

let draw = null;

export function startPareto() {
  draw = makePlot($("pareto"), "Gain against change");
}

export function drawPareto(sections, toneOf, onchoose) {
  const shown = sections.filter((section) => section.gain !== null && section.gain > -60);
  const dots = shown.map((section) => ({
    kind: section.kind, x: section.change, y: section.gain, shade: shade(section.confidence), mark: toneOf(section),
    title: titleOf(section), onclick: () => onchoose(section),
  }));
  const xs = dots.map((dot) => dot.x);
  const ys = dots.map((dot) => dot.y);
  draw({
    x: { label: "change, % chord RMS", range: [-0.03, 1.06].map((share) => share * Math.max(0.5, ...xs)) },
    y: { label: "gain in L/D, %", range: [Math.min(-4, ...ys) * 1.1, Math.max(10, ...ys) * 1.15] },
    rules: [{ y: 0 }],
    dots: [{ kind: "given", x: 0, y: 0, title: "your section" }, ...dots],
  });
  const best = shown.reduce((a, b) => (a && a.gain >= b.gain ? a : b), null);
  const said = best ? `best: ${best.name}, ${signed(best.gain, 1)} % for ${number(best.change, 2)} % chord` : "none to show";
  $("pareto").setAttribute("aria-label", `Gain in L/D against change of ${shown.length} sections; ${said}`);
}

function titleOf({ name, gain, change, confidence }) {
  return `${name}: ${signed(gain, 1)} % L/D, ${number(change, 2)} % chord, confidence ${number(confidence, 2)}`;
}

// Confidence below 0.6 is as good as none; the scale ends there.
function shade(confidence) {
  return Math.max(0.12, Math.min(1, ((confidence ?? 0) - 0.6) / 0.38));
}
