// How does a section come in: a file opened, dropped or pasted, a sample, a part of the catalogue?

import { provenance } from "./card.js";
import { $, button, html, number } from "./dom.js";
import { clear, fault, say } from "./notices.js";
import { ask } from "./server.js";
import { on, replace, state } from "./store.js";

const BYTES_MAX = 1 << 20;
const FOUND_MAX = 60;
const SAMPLES = ["n0012", "naca2412", "clarky", "goe398"];

export function startOpen() {
  $("open").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => { readFile($("file").files[0]); $("file").value = ""; });
  $("paste").addEventListener("click", () => {
    clear($("paste-fault"));
    $("paste-dialog").showModal();
    $("paste-text").focus();
  });
  $("paste-read").addEventListener("click", readPasted);
  $("find").addEventListener("click", () => { $("find-dialog").showModal(); list(); });
  $("find-text").addEventListener("input", list);
  document.addEventListener("paste", onPaste);
  document.addEventListener("dragover", (event) => { event.preventDefault(); $("sheet").classList.add("over"); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("sheet").classList.remove("over"); });
  document.addEventListener("drop", onDrop);
  on("catalogue", offerSamples);
}

function onPaste(event) {
  if (event.target.closest?.("input, textarea, dialog")) return;
  const [file] = event.clipboardData.files;
  const text = event.clipboardData.getData("text/plain");
  if (file) readFile(file);
  else if (text.trim()) readText(text, "pasted section", "pasted", $("drawing-fault"));
}

function onDrop(event) {
  event.preventDefault();
  $("sheet").classList.remove("over");
  const [file] = event.dataTransfer.files;
  const text = event.dataTransfer.getData("text/plain");
  if (file) readFile(file);
  else if (text.trim()) readText(text, "dropped section", "dropped", $("drawing-fault"));
}

async function readFile(file) {
  if (!file) return;
  const place = $("drawing-fault");
  if (file.size > BYTES_MAX) {
    const found = `${file.name}: found ${number(file.size / 1e6, 1)} MB`;
    fault(place, new RangeError(`${found}, expected less than 1 MB of coordinates`));
    return;
  }
  await readText(await file.text(), file.name.replace(/\.\w+$/, ""), `from ${file.name}`, place);
}

async function readPasted() {
  if (await readText($("paste-text").value, "pasted section", "pasted", $("paste-fault"))) {
    $("paste-dialog").close();
    $("paste-text").value = "";
  }
}

async function readText(text, fallback, from, place) {
  clear(place);
  try {
    const { answer } = await ask("/v1/encode", { shape: asShape(text) });
    replace(answer.heights, (answer.name || fallback).slice(0, 60), `${from}${asDrawn(answer.drawing)}`);
    say(`Read ${answer.name || fallback}`);
    return true;
  } catch (error) {
    fault(place, error, "Not read, your drawing is kept: ");
    return false;
  }
}

function asShape(text) {
  if (!text.trim().startsWith("[")) return { dat: text };
  try {
    return { points: JSON.parse(text) };
  } catch (error) {
    throw new RangeError(`points: found JSON that does not parse (${error.message}), expected [[x, y], ...]`);
  }
}

function asDrawn(drawing) {
  if (!drawing) return "";
  const turned = Math.abs(drawing.rotation_deg) >= 0.05 ? `, turned back by ${number(drawing.rotation_deg, 1)}°` : "";
  const reversed = drawing.clockwise ? ", drawn clockwise" : "";
  const smoothed = drawing.smoothed ? `, smoothed: the points shake by ${number(drawing.noise, 1)} % chord` : "";
  const crossed = drawing.crossed ? `, closed where its surfaces crossed by ${number(drawing.crossed, 2)} % chord` : "";
  return `: ${drawing.points} points, chord ${Number(drawing.chord.toPrecision(4))}${turned}${reversed}${smoothed}${crossed}`;
}

function offerSamples() {
  const parts = SAMPLES.map((id) => state.catalogue.parts.find((part) => part.id === id)).filter(Boolean);
  $("samples").replaceChildren(html("span", { class: "quiet" }, "Samples"),
    ...parts.map((part) => button(part.name, () => takePart(part, $("drawing-fault")))));
}

function list() {
  const words = $("find-text").value.toLowerCase().split(/\s+/).filter(Boolean);
  const parts = state.catalogue?.parts ?? [];
  const found = parts.filter((part) => {
    const text = `${part.name} ${part.id} ${part.family} ${part.source}${part.own ? " own" : ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const begins = (part) => part.name.toLowerCase().startsWith(words.join(" "));
  found.sort((a, b) => begins(b) - begins(a));
  const shown = found.slice(0, FOUND_MAX);
  const more = shown.length < found.length ? `, the first ${shown.length} shown` : "";
  $("find-count").textContent = `${found.length} of ${parts.length} parts${more}`;
  $("find-list").replaceChildren(...shown.map((part) => html("li", {},
    button("", () => takePart(part, $("find-fault")), { "aria-label": `${part.name}, ${part.family}` }))));
  [...$("find-list").querySelectorAll("button")].forEach((element, i) => {
    const { name, thickness, camber } = shown[i];
    element.append(html("b", {}, name), html("span", {}, provenance(shown[i])),
      html("span", { class: "end" }, `${number(thickness, 1)} % thick, ${number(camber, 1)} % camber`));
  });
}

async function takePart(part, place) {
  clear(place);
  try {
    const { answer } = await ask(`/v1/catalogue/${encodeURIComponent(part.id)}`);
    replace(answer.heights, answer.name, `from the catalogue: ${provenance(answer)}`);
    say(`${answer.name} is your section now`);
    $("find-dialog").close();
  } catch (error) {
    fault(place, error);
  }
}
