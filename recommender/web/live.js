// How do coordinates, neighbours and polar follow the hand? One question for all three; of shapes that wait the latest wins.
// Every round leaves a performance measure "interaction": from the hand's move to all three on the page.

import { $, button, html, number } from "./dom.js";
import { clear, fault, say } from "./notices.js";
import { polarQuestion, showPolar } from "./performance.js";
import { ask, lane } from "./server.js";
import { SIDE, rounded } from "./shape.js";
import { on, overlay, replace, state, tell } from "./store.js";

const NEIGHBOURS = 5;
const KEPT = 500; // measures
const enter = lane();

export function startLive() {
  on("bent", ({ at }) => enter(() => round(at)));
  on("wants reconnected", () => enter(() => round(performance.now())));
  on("overlays", () => markNeighbours());
}

async function round(at) {
  const asked = rounded(state.heights);
  const { shape, ...flown } = polarQuestion(asked);
  try {
    const { answer } = await ask("/v1/encode", { shape, similar: NEIGHBOURS, polar: flown });
    showFacts(answer, asked);
    showNeighbours(answer.similar);
    showPolar(answer.polar);
  } catch (error) {
    await apart(asked, error);
    return;
  }
  // What a file or a link did wrong stays until the drawing is another.
  if ($("drawing-fault").dataset.live === $("drawing-fault").textContent) clear($("drawing-fault"));
  performance.measure("interaction", { start: at, end: performance.now() });
  if (performance.getEntriesByName("interaction").length > KEPT) performance.clearMeasures("interaction");
}

// A number may be refused that only one answer needs, as Reynolds' is: asked apart, the others are answered still.
async function apart(asked, error) {
  if (error.code !== "invalid_input") { report([{ error, place: $("drawing-fault") }]); return; }
  const shape = { heights: asked };
  report(await Promise.all([
    render(ask("/v1/encode", { shape }), (answer) => showFacts(answer, asked), $("drawing-fault")),
    render(ask("/v1/similar", { shape, k: NEIGHBOURS }), showNeighbours, $("drawing-fault")),
    render(ask("/v1/polar", polarQuestion(asked)), showPolar, $("performance-fault")),
  ]));
}

// A shape that is refused is refused by all three; its reason is shown once, at the drawing.
function report(faults) {
  const failed = faults.filter(Boolean);
  failed.filter(({ error }, i) => failed.findIndex((other) => other.error.message === error.message) === i)
    .forEach(({ error, place }) => { fault(place, error); place.dataset.live = error.message; });
}

async function render(question, show, place) {
  try {
    show((await question).answer);
    return null;
  } catch (error) {
    return { error, place };
  }
}

function showFacts(answer, asked) {
  const { geometry, residual, novelty, trailing_edge: edge } = answer;
  const gap = 100 * (asked[SIDE - 1] - asked[2 * SIDE - 1]);
  const facts = [
    ["Thickness", `${number(geometry.thickness, 1)} %`, `at ${number(geometry.thickness_at, 0)} % chord`],
    ["Camber", `${number(geometry.camber, 1)} %`, `at ${number(geometry.camber_at, 0)} % chord`],
    ["Nose radius", `${number(geometry.nose_radius, 2)} %`, "of chord"],
    ["Trailing edge", `${number(geometry.trailing_angle, 1)}°`, `gap ${number(gap, 2)} %`],
    ["Rarer than", `${number(novelty.percentile, 0)} %`, "of the parts"],
    ["Encoded to", `${number(residual, 3)} %`, "of chord RMS"],
  ];
  $("facts").replaceChildren(...facts.map(([name, value, more]) =>
    html("div", {}, html("dt", {}, name), html("dd", {}, value, " ", html("small", {}, more)))));
  if (edge) offerEdge(edge);
  tell("encoded", { latent: answer.latent, asked });
}

// A cut trailing edge hides the part it came from; it is extended only when the user says so.
function offerEdge({ gap, cut, extension }) {
  const place = $("offer");
  const refused = place.dataset.kept === gap.toFixed(3);
  if (!cut || !extension || refused) { place.hidden = true; return; }
  if (!place.hidden && place.dataset.by === String(extension.by)) return;
  place.dataset.by = String(extension.by);
  const accept = () => {
    replace(extension.heights, state.name, `${state.origin}, trailing edge extended by ${number(extension.by, 1)} % chord`);
    say("Trailing edge extended");
  };
  const keep = () => { place.dataset.kept = gap.toFixed(3); place.hidden = true; };
  place.replaceChildren(
    html("p", {}, `The trailing edge is cut: ${number(gap, 1)} % chord thick. `
      + `Extended by ${number(extension.by, 1)} % chord it closes.`),
    button("Extend it", accept, { class: "main" }), button("Keep as drawn", keep));
  place.hidden = false;
}

function showNeighbours({ parts }) {
  const list = $("neighbours");
  const standing = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...parts.map((part) => html("li", {},
    button(part.name, () => overlay({ key: part.id, name: part.name, heights: part.heights }), {
      "data-key": part.id, title: `${part.name}: ${part.source}, ${part.family}. Lays it over the drawing`,
    }),
    html("small", {}, `${number(part.distance, 2)} % chord${part.matched === "as drawn" ? "" : `, ${part.matched}`}`))));
  if (standing) (list.querySelector(`[data-key="${CSS.escape(standing)}"]`) ?? list.querySelector("button"))?.focus();
  markNeighbours();
}

function markNeighbours() {
  for (const shown of $("neighbours").querySelectorAll("button")) {
    const found = state.overlays.find(({ key }) => key === shown.dataset.key);
    shown.setAttribute("aria-pressed", String(Boolean(found)));
    shown.className = found ? `tone-${found.tone}` : "";
  }
}
