// How is one recommended section shown, and what can be done with it?

import { button, html, number, path, signed, svg } from "./dom.js";
import { clear, fault, say } from "./notices.js";
import { ask } from "./server.js";
import { outline } from "./shape.js";
import { isOverlaid, overlay, replace, state } from "./store.js";

export const keyOf = (section) => section.id ?? `generated ${section.latent.slice(0, 6).map((v) => v.toFixed(4)).join(" ")}`;

export function makeCard(section, { rank, requestId, given }) {
  const key = keyOf(section);
  const heard = html("p", { class: "heard", role: "status" });
  const wrong = html("p", { class: "fault", role: "alert", hidden: true });
  const speak = (...outcomes) => feedback(outcomes, requestId, heard, wrong);
  return html("li", { class: "card", "data-key": key, tabindex: -1 },
    thumbnail(section, given),
    html("div", { class: "about" }, html("h3", {}, section.name), html("p", { class: "source quiet" }, provenance(section)),
      html("p", { class: "why" }, section.why), misses(section)),
    figures(section),
    html("div", { class: "actions" },
      button("Overlay", () => overlay({ key, name: section.name, heights: section.heights }),
        { class: "lay", "aria-pressed": String(isOverlaid(key)), "aria-label": `Overlay ${section.name}` }),
      button("Take as new shape", () => take(section), { "aria-label": `Take as new shape: ${section.name}` }),
      button("Used it", () => speak("accepted", { rank }), { "aria-label": `Used it: ${section.name}` }),
      button("Not useful", () => speak("rejected"), { "aria-label": `Not useful: ${section.name}` }),
      heard),
    wrong);
}

export function markCard(card) {
  const found = state.overlays.find(({ key }) => key === card.dataset.key);
  const lay = card.querySelector(".lay");
  lay.setAttribute("aria-pressed", String(Boolean(found)));
  lay.className = `lay${found ? ` tone-${found.tone}` : ""}`;
}

function thumbnail(section, given) {
  const x = (v) => 2 + v * 116;
  const y = (v) => 24 - v * 116;
  return svg("svg", { class: "thumb", viewBox: "0 0 120 44", "aria-hidden": true },
    svg("path", { class: "given", d: path(outline(given), x, y) }),
    svg("path", { class: "drawn", d: path(outline(section.heights), x, y) }));
}

export function provenance({ kind, source, family, own }) {
  if (kind === "generated") return "Generated for these requirements; no such part is known";
  return [own ? "Your own part" : source, family].filter((text, i, all) => text && all.indexOf(text) === i).join(" · ");
}

function misses(section) {
  if (!section.misses.length) return null;
  const items = section.misses.map((text) => html("li", {}, text));
  return html("ul", { class: "misses", "aria-label": "Requirements it misses" }, ...items);
}

function figures(section) {
  const { gain, change, confidence, glide, alpha, CD, CM, thickness } = section;
  const main = [
    ["Gain", gain === null ? "–" : `${signed(gain, Math.abs(gain) < 10 ? 1 : 0)} %`, "in L/D"],
    ["Change", `${number(change, 2)} %`, "chord RMS"],
    ["Confidence", number(confidence, 2), "predicted"],
  ];
  const flown = glide === null ? "does not reach the lift"
    : `L/D ${number(glide, 1)} · α ${number(alpha, 1)}° · CD ${number(CD, 4)} · CM ${number(CM, 3)}`;
  return html("div", { class: "figures" },
    html("dl", {}, ...main.map(([name, value, unit]) =>
      html("div", { class: name === "Gain" && gain > 0 ? "up" : "" },
        html("dt", {}, name), html("dd", {}, value, " ", html("small", {}, unit))))),
    html("p", { class: "more" }, `${flown} · ${number(thickness, 1)} % thick`));
}

function take(section) {
  const generated = section.kind === "generated";
  const origin = generated ? `generated, began as ${state.name}` : `from the catalogue: ${provenance(section)}`;
  replace(section.heights, section.name, origin);
  say(`${section.name} is your section now`);
}

async function feedback(outcomes, requestId, heard, wrong) {
  clear(wrong);
  try {
    for (const outcome of outcomes) await ask("/v1/feedback", { request_id: requestId, outcome });
    heard.textContent = "Noted, thank you.";
  } catch (error) {
    heard.textContent = "";
    fault(wrong, error);
  }
}
