// Which sections does the server recommend, and which of the three lists is shown?

import { $, number } from "./dom.js";
import { keyOf, makeCard, markCard } from "./card.js";
import { clear, fault, say } from "./notices.js";
import { drawPareto, startPareto } from "./pareto.js";
import { compareAt } from "./performance.js";
import { known, showUsed } from "./requirements.js";
import { ask, lane } from "./server.js";
import { rounded } from "./shape.js";
import { on, overlay, state } from "./store.js";

const TABS = ["nearest", "better", "generated"];
const WAIT_MS = 60;
const lists = { nearest: [], better: [], generated: [] };
const enter = lane();
let selected = "better";
let timer = 0;

export function startResults() {
  startPareto();
  for (const tab of TABS) {
    $(`tab-${tab}`).addEventListener("click", () => select(tab));
    $(`tab-${tab}`).addEventListener("keydown", (event) => turn(event, tab));
  }
  select(selected);
  on("bent wants", () => { $("results").dataset.stale = "true"; });
  on("settled wants reconnected", askSoon);
  on("overlays", () => {
    document.querySelectorAll(".card").forEach(markCard);
    redraw();
  });
  redraw();
}

export function select(tab) {
  selected = tab;
  for (const name of TABS) {
    const chosen = name === tab;
    $(`tab-${name}`).setAttribute("aria-selected", String(chosen));
    $(`tab-${name}`).tabIndex = chosen ? 0 : -1;
    $(`panel-${name}`).hidden = !chosen;
  }
}

function turn(event, tab) {
  const at = TABS.indexOf(tab);
  const to = { ArrowRight: (at + 1) % 3, ArrowLeft: (at + 2) % 3, Home: 0, End: 2 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  select(TABS[to]);
  $(`tab-${TABS[to]}`).focus();
}

function askSoon() {
  clearTimeout(timer);
  timer = setTimeout(() => enter(recommend), WAIT_MS);
}

async function recommend() {
  const heights = rounded(state.heights);
  $("results").setAttribute("aria-busy", "true");
  try {
    const { answer, requestId } = await ask("/v1/recommend", { shape: { heights }, requirements: known(state.wants) });
    clear($("requirements-fault"));
    showUsed(answer.requirements);
    const all = [...answer.nearest, ...answer.better].map((section) => [keyOf(section), section]);
    compareAt(answer.requirements.lift, new Map([["own", answer.reference], ...all]));
    show("nearest", answer.nearest, "The nearest parts, whether they meet the requirements or not.", requestId, heights);
    showBetter(answer, requestId, heights);
    $("results").dataset.stale = "false";
    say(`${answer.better.length} better parts of ${answer.scored}`);
  } catch (error) {
    // What is wrong with the shape already stands at the drawing.
    $("results").dataset.stale = "refused";
    const told = error.message === $("drawing-fault").textContent;
    if (!told) fault($("requirements-fault"), error);
  }
  $("results").removeAttribute("aria-busy");
}

function showBetter(answer, requestId, given) {
  const { better, scored, feasible, nearest_miss: miss } = answer;
  const met = `${feasible} of ${scored} parts meet the requirements`;
  if (better.length) {
    show("better", better, `${met}; these trade gain, change and confidence best.`, requestId, given);
  } else if (miss) {
    show("better", [miss.part], `${miss.says}.`.replace(/^./, (letter) => letter.toUpperCase()), requestId, given);
  } else {
    const at = `at CL ${number(answer.requirements.lift, 2)}`;
    show("better", [], `${met}, none of them better than your section ${at}.`, requestId, given);
  }
}

export function show(tab, sections, lead, requestId, given) {
  lists[tab] = sections;
  $(`tab-${tab}`).querySelector(".count").textContent = sections.length ? String(sections.length) : "";
  const panel = $(`panel-${tab}`);
  panel.querySelector(".lead").textContent = lead;
  const cards = sections.map((section, i) => makeCard(section, { rank: i + 1, requestId, given }));
  cards.forEach(markCard);
  panel.querySelector(".cards").replaceChildren(...cards);
  redraw();
}

function redraw() {
  const all = TABS.flatMap((tab) => lists[tab]);
  const seen = all.filter((section, i) => all.findIndex((other) => keyOf(other) === keyOf(section)) === i);
  const toneOf = (section) => state.overlays.find(({ key }) => key === keyOf(section))?.tone;
  drawPareto(seen, toneOf, choose);
}

function choose(section) {
  const tab = TABS.find((name) => lists[name].some((other) => keyOf(other) === keyOf(section)));
  select(tab);
  overlay({ key: keyOf(section), name: section.name, heights: section.heights });
  const card = [...$(`panel-${tab}`).querySelectorAll(".card")].find(({ dataset }) => dataset.key === keyOf(section));
  card?.scrollIntoView({ block: "nearest" });
}
