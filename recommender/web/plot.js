// How is a small plot of lines or dots drawn as SVG? Knows of axes, ticks and values under the pointer; nothing of wings.

import { html, number, svg } from "./dom.js";

// In units of the page's type, which grows with the screen.
const MARGIN_EM = { left: 3, right: 0.8, top: 1, bottom: 2.3 };

// spec: {x: {label, digits, range, read}, y: {...}, lines: [{tone, name, points: [[x, y, firm]]}], dots: [{x, y, kind, ...}],
// rules: [{x} or {y}]}; `read` is how many decimals a value under the pointer is told with.
export function makePlot(board, label) {
  const readout = html("p", { class: "readout", "aria-hidden": true });
  const marks = svg("g", {});
  const plot = { board, spec: null, scale: null, readout, marks, width: 0, height: 0, em: 16 };
  board.setAttribute("role", "img");
  board.setAttribute("aria-label", label);
  board.after(readout);
  new ResizeObserver(() => { measure(plot); render(plot); }).observe(board);
  board.addEventListener("pointermove", (event) => point(plot, event));
  board.addEventListener("pointerleave", () => { readout.textContent = ""; marks.replaceChildren(); });
  return (spec) => { plot.spec = spec; render(plot); };
}

// Only when the size changes: a question for it between two drawings makes the browser lay out the whole page.
function measure(plot) {
  const { board } = plot;
  const em = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  Object.assign(plot, { width: board.clientWidth, height: board.clientHeight, em });
  board.setAttribute("viewBox", `0 0 ${plot.width} ${plot.height}`);
}

function render(plot) {
  const { board, spec, width, height, em } = plot;
  if (!spec || !width || !height) return;
  const margin = Object.fromEntries(Object.entries(MARGIN_EM).map(([side, size]) => [side, size * em]));
  const frame = { width, height, margin, em };
  const x = axis(spec.x, margin.left, width - margin.right, Math.max(3, Math.floor(width / 90)));
  const y = axis(spec.y, height - margin.bottom, margin.top, Math.max(3, Math.floor(height / 45)));
  plot.scale = { x, y };
  plot.marks.replaceChildren();
  board.replaceChildren(
    svg("g", { class: "grid" },
      ...x.ticks.flatMap((tick) => upright(x, tick, frame)), ...y.ticks.flatMap((tick) => level(y, tick, frame)),
      svg("text", { x: width - margin.right, y: height - 4, "text-anchor": "end", class: "label" }, spec.x.label),
      svg("text", { x: 4, y: 0.7 * em, class: "label" }, spec.y.label)),
    svg("g", { class: "rules" }, ...(spec.rules ?? []).map((rule) => ruled(rule, x, y, frame))),
    svg("g", {}, ...(spec.lines ?? []).flatMap((line) => drawn(line, x, y))),
    svg("g", {}, ...(spec.dots ?? []).map((dot) => dotted(dot, x, y))),
    plot.marks,
  );
}

function axis({ range, digits }, from, to, count) {
  const [low, high] = range[1] - range[0] > 1e-9 ? range : [range[0] - 0.5, range[0] + 0.5];
  const step = niceStep((high - low) / count);
  const first = Math.ceil(low / step - 1e-9);
  const ticks = [];
  for (let k = first; k * step <= high + step * 1e-6; k += 1) ticks.push(k * step);
  const places = Math.max(digits ?? 0, Math.min(4, Math.ceil(-Math.log10(step) - 1e-9)));
  return { ticks, places, at: (value) => from + ((value - low) / (high - low)) * (to - from) };
}

function niceStep(raw) {
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].find((times) => times * power >= raw * (1 - 1e-9)) * power;
}

function upright(x, tick, { height, margin, em }) {
  const at = x.at(tick);
  const text = svg("text", { x: at, y: height - margin.bottom + 0.95 * em, "text-anchor": "middle" }, number(tick, x.places));
  return [svg("line", { x1: at, x2: at, y1: margin.top, y2: height - margin.bottom }), text];
}

function level(y, tick, { width, margin }) {
  const at = y.at(tick);
  if (at < margin.top + 2) return [svg("line", { x1: margin.left, x2: width - margin.right, y1: at, y2: at })];
  const text = svg("text", { x: margin.left - 5, y: at + 3.5, "text-anchor": "end" }, number(tick, y.places));
  return [svg("line", { x1: margin.left, x2: width - margin.right, y1: at, y2: at }), text];
}

function ruled(rule, x, y, { width, height, margin }) {
  if ("x" in rule) return svg("line", { x1: x.at(rule.x), x2: x.at(rule.x), y1: margin.top, y2: height - margin.bottom });
  return svg("line", { x1: margin.left, x2: width - margin.right, y1: y.at(rule.y), y2: y.at(rule.y) });
}

// Where the prediction is not firm the line is dashed.
function drawn({ tone, points }, x, y) {
  const runs = [];
  points.forEach((p, i) => {
    const firm = p[2] !== false;
    if (i === 0 || firm !== runs.at(-1).firm) runs.push({ firm, points: i ? [points[i - 1], p] : [p] });
    else runs.at(-1).points.push(p);
  });
  return runs.map((run) => svg("polyline", {
    class: `line tone-${tone}${run.firm ? "" : " unsure"}`,
    points: run.points.map((p) => `${x.at(p[0]).toFixed(1)},${y.at(p[1]).toFixed(1)}`).join(" "),
  }));
}

function dotted({ kind, x: dx, y: dy, shade, mark, title, onclick }, x, y) {
  const at = `translate(${x.at(dx).toFixed(1)} ${y.at(dy).toFixed(1)})`;
  const outlines = { generated: "M0-6 6 0 0 6-6 0Z", given: "M-6 0H6M0-6V6", nearest: "M-4.5-4.5H4.5V4.5H-4.5Z" };
  const body = outlines[kind] ? svg("path", { class: "spot", d: outlines[kind] }) : svg("circle", { class: "spot", r: 5 });
  body.setAttribute("fill-opacity", (shade ?? 1).toFixed(2));
  return svg("g", { transform: at, class: `dot ${kind}${mark ? ` tone-${mark} marked` : ""}`, onclick },
    svg("circle", { class: "reach", r: 12 }), body, svg("title", {}, title));
}

function point(plot, event) {
  const { spec, scale, readout, marks } = plot;
  if (!spec?.lines?.length) return;
  const box = plot.board.getBoundingClientRect();
  const [px, py] = [event.clientX - box.left, event.clientY - box.top];
  let best = { gap: 30 };
  for (const line of spec.lines) {
    for (const [x, y] of line.points) {
      const gap = Math.hypot(scale.x.at(x) - px, scale.y.at(y) - py);
      if (gap < best.gap) best = { gap, x, y, line };
    }
  }
  if (!best.line) { readout.textContent = ""; marks.replaceChildren(); return; }
  const { x, y, line } = best;
  readout.textContent = `${line.name}: ${spec.x.label} ${number(x, spec.x.read)}, ${spec.y.label} ${number(y, spec.y.read)}`;
  marks.replaceChildren(svg("circle", { class: `line tone-${line.tone}`, r: 4, cx: scale.x.at(x), cy: scale.y.at(y) }));
}
