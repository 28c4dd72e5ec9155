// What does the user want of the section? One form; an empty field means "as the shape has it", and shows what that is.

import { $, html, number } from "./dom.js";
import { on, state, want } from "./store.js";

const WAIT_MS = 150;
const FIELDS = [
  { key: "lift", label: "Lift", unit: "CL", step: 0.05, digits: 2, hint: "empty: where the shape's L/D is best" },
  { key: "reynolds", label: "Reynolds number", unit: "× 10⁶", step: 0.05, digits: 2, factor: 1e6, fallback: 1e6,
    hint: "0.05 to 10 million" },
  { key: "n_crit", label: "Transition (n_crit)", fallback: 9, choices: [[12, "Very clean air (12)"], [9, "Clean air (9)"],
    [7, "Some turbulence (7)"], [5, "Turbulent (5)"], [3, "Very turbulent (3)"]] },
  { key: "moment_min", label: "Moment at least", unit: "CM", step: 0.01, digits: 3, hint: "empty: 0.02 below the shape's own" },
  { key: "thickness_min", label: "Thickness at least", unit: "% chord", step: 0.5, digits: 1,
    hint: "empty: 0.5 below the shape's own" },
  { key: "thickness_max", label: "Thickness at most", unit: "% chord", step: 0.5, digits: 1, hint: "empty: 35" },
  { key: "change_max", label: "Change at most", unit: "% chord", step: 0.1, digits: 2, hint: "empty: any change", none: "any" },
  { key: "confidence_min", label: "Confidence at least", unit: "of 1", step: 0.05, digits: 2, hint: "empty: 0.85" },
];
const inputs = new Map();
let timer = 0;

export function startRequirements() {
  $("wants").append(...FIELDS.map(makeField));
  $("wants").addEventListener("submit", (event) => event.preventDefault());
  $("wants").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(read, WAIT_MS); });
  $("wants").addEventListener("change", () => { clearTimeout(timer); read(); });
  $("clear").addEventListener("click", () => want(defaults()));
  on("wants", write);
  write();
}

// Only keys and numbers that this form knows: what a link brings is not trusted.
export function known(wants) {
  const good = FIELDS.filter(({ key }) => Number.isFinite(wants?.[key])).map(({ key }) => [key, wants[key]]);
  return { ...defaults(), ...Object.fromEntries(good) };
}

// What the server used where a field was left empty.
export function showUsed(used) {
  for (const { key, digits, factor = 1, none } of FIELDS) {
    const input = inputs.get(key);
    if (input.tagName !== "INPUT") continue;
    const value = used[key];
    input.placeholder = Number.isFinite(value) ? number(value / factor, digits) : none ?? "";
  }
}

function defaults() {
  return Object.fromEntries(FIELDS.filter((field) => field.fallback).map(({ key, fallback }) => [key, fallback]));
}

function makeField({ key, label, unit, step, hint, choices }) {
  const id = `want-${key}`;
  const input = choices
    ? html("select", { id, name: key }, ...choices.map(([value, text]) => html("option", { value }, text)))
    : html("input", { id, name: key, type: "number", step: "any", title: hint, "aria-describedby": `${id}-unit` });
  if (!choices) input.addEventListener("keydown", (event) => stepped(event, input, step));
  inputs.set(key, input);
  const tail = unit ? html("span", { class: "unit", id: `${id}-unit` }, unit) : null;
  return html("div", { class: "field" },
    html("label", { for: id }, label), html("span", { class: choices ? "pick" : "entry" }, input, tail));
}

// From an empty field the arrows start at what the server used, not at zero.
function stepped(event, input, step) {
  const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  if (!direction) return;
  event.preventDefault();
  const from = Number(input.value || input.placeholder.replace("−", "-")) || 0;
  input.value = String(Math.round((from + direction * step) * 1e4) / 1e4);
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

function read() {
  const wants = defaults();
  for (const { key, factor = 1 } of FIELDS) {
    const { value } = inputs.get(key);
    if (value !== "") wants[key] = Number((Number(value) * factor).toPrecision(12));
  }
  if (JSON.stringify(wants) !== JSON.stringify(state.wants)) want(wants);
}

function write() {
  for (const { key, factor = 1 } of FIELDS) {
    const input = inputs.get(key);
    const value = key in state.wants ? Number((state.wants[key] / factor).toPrecision(12)) : "";
    if (input === document.activeElement && Number(input.value) === value) continue;
    if (input.tagName === "SELECT" && ![...input.options].some((option) => Number(option.value) === value)) {
      input.append(html("option", { value }, `n_crit (${value})`));
    }
    input.value = String(value);
  }
}
