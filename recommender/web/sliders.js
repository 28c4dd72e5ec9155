// How is the shape moved along the catalogue's main directions, and towards another shape?

import { $, html, number } from "./dom.js";
import { along, between, rounded, sameShape } from "./shape.js";
import { bendTo, on, settle, state } from "./store.js";

const SHOWN = 6;
const STEPS = 200;
let rows = [];
// While a slider drives, answers about earlier shapes may not move it back under the hand.
let driving = false;
let morphFrom = null;

export function startSliders() {
  on("catalogue", makeRows);
  on("encoded", follow);
  on("overlays", offerTargets);
  on("settled", () => { if (!driving) resetMorph(); });
  $("morph").addEventListener("input", morph);
  $("morph").addEventListener("change", () => { driving = true; settle(); driving = false; });
  $("morph-target").addEventListener("change", resetMorph);
  offerTargets();
}

function makeRows() {
  if (rows.length) return;
  rows = state.catalogue.directions.slice(0, SHOWN).map((direction, i) => {
    const id = `direction-${i}`;
    const { low, high, name } = direction;
    const input = html("input", { id, type: "range", min: low, max: high, step: (high - low) / STEPS, value: 0 });
    const output = html("output", { for: id });
    const row = { direction, input, output, at: 0 };
    input.addEventListener("input", (event) => move(row, event));
    input.addEventListener("change", settle);
    return Object.assign(row, { element: html("div", { class: "slide" }, label(id, name), input, output) });
  });
  $("sliders").replaceChildren(...rows.map((row) => row.element));
}

function move(row, event) {
  const value = Number(row.input.value);
  driving = true;
  const amount = value - row.at;
  place(row, value);
  bendTo(along(state.heights, row.direction.component, amount), event.timeStamp);
}

function follow({ latent, asked }) {
  const current = sameShape(asked, rounded(state.heights));
  if (driving && !current) return;
  driving = false;
  for (const row of rows) {
    const value = latent[row.direction.axis];
    row.input.min = Math.min(row.direction.low, value);
    row.input.max = Math.max(row.direction.high, value);
    row.input.value = value;
    place(row, value);
  }
}

function place(row, value) {
  row.at = value;
  row.output.textContent = `${number(value, 2)} %`;
  row.input.setAttribute("aria-valuetext", `${number(value, 2)} % chord from the mean part`);
}

function offerTargets() {
  const select = $("morph-target");
  const before = select.value;
  const options = state.overlays.map(({ key, name }) => html("option", { value: key }, name));
  select.replaceChildren(...(options.length ? options : [html("option", { value: "" }, "lay a part over first")]));
  select.disabled = $("morph").disabled = !options.length;
  if (state.overlays.some(({ key }) => key === before)) select.value = before;
  else resetMorph();
}

function morph(event) {
  const target = state.overlays.find(({ key }) => key === $("morph-target").value);
  if (!target) return;
  morphFrom ??= state.heights;
  const share = Number($("morph").value);
  $("morph-value").textContent = `${share} %`;
  bendTo(between(morphFrom, target.heights, share / 100), event.timeStamp);
}

function resetMorph() {
  morphFrom = null;
  $("morph").value = 0;
  $("morph-value").textContent = "0 %";
}

// "camber 2, most at 78 % chord": what follows the comma is said smaller.
function label(id, name) {
  const [what, ...where] = name.split(", ");
  return html("label", { for: id }, capital(what), where.length ? html("small", {}, where.join(", ")) : null);
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
