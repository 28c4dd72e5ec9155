// What does the section do at the wanted lift, Reynolds number and transition, beside the sections laid over it?
// The numbers at the lift are the server's where it compared the sections there; while a hand moves, and for what it did not
// compare, they are read off the predicted polar between its angles.

import { $, airText, html, number, reynoldsText, svg } from "./dom.js";
import { makePlot } from "./plot.js";
import { clear, fault } from "./notices.js";
import { ask } from "./server.js";
import { rounded } from "./shape.js";
import { on, state } from "./store.js";

const FIRM = 0.85;
const CL = { label: "CL", read: 2 };
const KINDS = [
  { key: "polar", title: "Lift against drag", x: { label: "CD", read: 4 }, y: CL, rule: "y", of: (p, i) => [p.CD[i], p.CL[i]] },
  { key: "glide", title: "L/D against lift", x: CL, y: { label: "L/D", read: 0 }, rule: "x",
    of: (p, i) => [p.CL[i], p.CL[i] / p.CD[i]] },
  { key: "lift", title: "Lift against angle", x: { label: "α °", read: 1 }, y: CL, rule: "y",
    of: (p, i) => [p.alpha[i], p.CL[i]] },
  { key: "moment", title: "Moment against lift", x: CL, y: { label: "CM", read: 3 }, rule: "x",
    of: (p, i) => [p.CL[i], p.CM[i]] },
];
const plots = new Map();
const kept = new Map(); // polars of what is laid over, for the present conditions
let own = null;
let lift = null;
let compared = new Map(); // by key, "own" for the section itself

export function startPerformance() {
  for (const kind of KINDS) {
    const board = svg("svg", { class: "plot", id: `plot-${kind.key}` });
    $("plots").append(html("figure", {}, html("figcaption", {}, kind.title), board));
    plots.set(kind.key, makePlot(board, kind.title));
  }
  on("overlays", () => { askOverlays(); render(); });
  on("bent", () => compared.delete("own"));
  on("wants reconnected", () => { compared.clear(); kept.clear(); askOverlays(); });
}

export function polarQuestion(heights) {
  return { shape: { heights: rounded(heights) }, reynolds: state.wants.reynolds, n_crit: state.wants.n_crit };
}

export function showPolar(answer) {
  own = answer.polars[0];
  clear($("performance-fault"));
  for (const place of document.querySelectorAll("[data-limits]")) {
    place.textContent = `${answer.predicted_by}: ${answer.limits}.`;
  }
  $("conditions").textContent = `at ${reynoldsText(own.reynolds)}, ${airText(answer.n_crit)}`;
  render();
}

// The lift that the recommendations compare at, and what was compared there.
export function compareAt(wanted, sections) {
  lift = wanted;
  compared = sections;
  render();
}

async function askOverlays() {
  for (const { key, heights } of state.overlays) {
    if (kept.has(key)) continue;
    kept.set(key, null);
    const conditions = JSON.stringify([state.wants.reynolds, state.wants.n_crit]);
    try {
      const { answer } = await ask("/v1/polar", polarQuestion(heights));
      if (conditions === JSON.stringify([state.wants.reynolds, state.wants.n_crit])) kept.set(key, answer.polars[0]);
    } catch (error) {
      kept.delete(key);
      fault($("performance-fault"), error);
    }
  }
  render();
}

function shown() {
  const mine = own ? [{ key: "own", name: state.name || "your section", tone: 0, polar: own }] : [];
  const over = state.overlays.map(({ key, name, tone }) => ({ key, name, tone, polar: kept.get(key) }));
  return [...mine, ...over.filter(({ polar }) => polar)];
}

function render() {
  const all = shown();
  if (!all.length) return;
  const at = state.wants.lift ?? lift ?? bestLift(own);
  for (const kind of KINDS) plots.get(kind.key)(specOf(kind, all, at));
  $("matched").tBodies[0].replaceChildren(...all.map((one) => row(one, at)));
  $("matched").tHead.rows[0].cells[0].textContent = `At CL ${number(at, 2)}`;
}

function bestLift(polar) {
  const glide = polar.CL.map((cl, i) => cl / polar.CD[i]);
  return polar.CL[glide.indexOf(Math.max(...glide))];
}

function specOf(kind, all, at) {
  const counts = (polar, i) => kind.key !== "glide" || polar.CL[i] >= 0;
  const lines = all.map(({ name, tone, polar }) => ({
    name, tone,
    points: flown(polar).filter((i) => counts(polar, i)).map((i) => [...kind.of(polar, i), polar.confidence[i] >= FIRM]),
  }));
  const points = lines.flatMap((line) => line.points);
  const range = (k) => [Math.min(...points.map((p) => p[k])), Math.max(...points.map((p) => p[k]))];
  const x = { ...kind.x, range: kind.key === "polar" ? [0, range(0)[1]] : range(0) };
  const room = (range(1)[1] - range(1)[0]) * 0.06;
  const y = { ...kind.y, range: [range(1)[0] - room, range(1)[1] + room] };
  return { x, y, lines, rules: [kind.rule === "x" ? { x: at } : { y: at }] };
}

// Far behind the stall drag would squeeze the rest of the plot into a corner: up to three degrees past the most lift,
// and down to the least.
function flown(polar) {
  const top = polar.CL.indexOf(Math.max(...polar.CL));
  const last = polar.alpha[top] + 3;
  return polar.alpha.map((_, i) => i).filter((i) => polar.alpha[i] <= last && polar.CD[i] < 0.06);
}

// The first crossing going up: below the stall a lift belongs to one angle.
function readAt(polar, wanted) {
  const i = polar.CL.findIndex((cl, k) => k > 0 && polar.CL[k - 1] <= wanted && wanted <= cl);
  if (i < 1) return null;
  const share = (wanted - polar.CL[i - 1]) / (polar.CL[i] - polar.CL[i - 1] || 1);
  const read = (values) => values[i - 1] + share * (values[i] - values[i - 1]);
  const drag = Math.exp(read(polar.CD.map(Math.log)));
  return { glide: wanted / drag, alpha: read(polar.alpha), CD: drag, CM: read(polar.CM), confidence: read(polar.confidence) };
}

function row({ key, name, tone, polar }, at) {
  const told = compared.get(key);
  const read = Number.isFinite(told?.glide) ? told : readAt(polar, at);
  const title = html("th", { scope: "row" }, html("i", { class: `swatch tone-${tone}`, "aria-hidden": true }), name);
  if (!read) return html("tr", {}, title, html("td", { colspan: 5, class: "note" }, "does not reach this lift"));
  const { glide, alpha, CD, CM, confidence } = read;
  const cells = [number(glide, 1), number(alpha, 1), number(CD, 4), number(CM, 3), number(confidence, 2)];
  return html("tr", {}, title, ...cells.map((text) => html("td", {}, text)));
}
