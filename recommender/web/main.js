// Who starts what? Joins the parts of the page; holds what belongs to none of them: history, name, downloads, link, token.

import { startContour } from "./contour.js";
import { $, number } from "./dom.js";
import { dat, dxf, svgFile } from "./export.js";
import { startGenerate } from "./generate.js";
import { fromFragment, holdsDrawing, toFragment } from "./link.js";
import { startLive } from "./live.js";
import { clearUnless, fault, say } from "./notices.js";
import { startOpen } from "./open.js";
import { startPerformance } from "./performance.js";
import { startRequirements } from "./requirements.js";
import { startResults } from "./results.js";
import { ask, onTokenWanted } from "./server.js";
import { startSliders } from "./sliders.js";
import { canRedo, canUndo, on, redo, rename, replace, start, state, tell, undo, want } from "./store.js";

const LINK_WAIT_MS = 400;
let linkTimer = 0;

function startHistory() {
  $("undo").addEventListener("click", () => step(undo, "Undone"));
  $("redo").addEventListener("click", () => step(redo, "Done again"));
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=range]), textarea, dialog");
    if (typing || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    const key = event.key.toLowerCase();
    const act = key === "z" ? (event.shiftKey ? redo : undo) : key === "y" ? redo : null;
    if (!act) return;
    event.preventDefault();
    step(act, act === undo ? "Undone" : "Done again");
  });
  on("settled", () => clearUnless($("drawing-fault"), "live"));
  on("settled", () => { $("undo").disabled = !canUndo(); $("redo").disabled = !canRedo(); });
}

function step(act, said) {
  act();
  say(`${said}: ${state.name}`);
}

function startName() {
  $("name").addEventListener("change", () => rename($("name").value.trim()));
  on("settled", () => { $("name").value = state.name; $("origin").textContent = state.origin; });
}

function startDownloads() {
  const kinds = { dat: ["text/plain", dat], svg: ["image/svg+xml", svgFile], dxf: ["image/vnd.dxf", dxf] };
  for (const control of document.querySelectorAll("[data-download]")) {
    const [type, write] = kinds[control.dataset.download];
    control.addEventListener("click", () => {
      const chord = Number($("chord").value);
      const text = write(state.name, state.heights, chord > 0 ? chord : 100);
      save(`${fileName()}.${control.dataset.download}`, new Blob([text], { type }));
    });
  }
}

function fileName() {
  return state.name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "section";
}

function save(name, blob) {
  const anchor = document.createElement("a");
  Object.assign(anchor, { href: URL.createObjectURL(blob), download: name });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000);
  say(`${name} saved`);
}

function startLink() {
  on("settled wants renamed", () => { clearTimeout(linkTimer); linkTimer = setTimeout(keepLink, LINK_WAIT_MS); });
  $("link").addEventListener("click", async () => {
    keepLink();
    // The clipboard is closed to pages that come over plain HTTP from another host; then the link is shown to be copied.
    const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
    $("link-box").hidden = Boolean(copied);
    if (copied) { $("link").textContent = "Link copied"; setTimeout(() => { $("link").textContent = "Copy link"; }, 2000); }
    $("link-text").value = location.href;
    if (!copied) $("link-text").select();
    say(copied ? "Link copied" : "The link is selected, copy it");
  });
  window.addEventListener("hashchange", () => restore(replace));
}

function keepLink() {
  history.replaceState(null, "", toFragment());
}

function restore(place) {
  if (!holdsDrawing(location.hash)) return;
  try {
    const { heights, name, wants } = fromFragment(location.hash);
    want(wants);
    place(heights, name, "from a link");
  } catch (error) {
    fault($("drawing-fault"), error);
  }
}

// The fragment holds the drawing, so links within the page move there without writing it.
function startJumps() {
  for (const anchor of document.querySelectorAll("a[href^='#']")) {
    anchor.addEventListener("click", (event) => {
      event.preventDefault();
      const target = $(anchor.hash.slice(1));
      target.tabIndex = -1;
      target.focus({ preventScroll: true });
      target.scrollIntoView();
    });
  }
}

function startToken() {
  onTokenWanted((refusal) => new Promise((resolve) => {
    const dialog = $("token-dialog");
    $("token-fault").hidden = !refusal;
    $("token-fault").textContent = refusal || "";
    $("token-text").value = "";
    dialog.showModal();
    const given = () => (dialog.returnValue === "use" ? $("token-text").value.trim() : null);
    dialog.addEventListener("close", () => resolve(given()), { once: true });
  }));
}

async function greet() {
  try {
    state.catalogue = (await ask("/v1/catalogue")).answer;
    tell("catalogue");
  } catch (error) {
    fault($("drawing-fault"), error);
    $("server").textContent = "no answer from the server yet";
  }
}

on("catalogue", () => {
  const { count, own, encoder } = state.catalogue;
  const yours = own ? `, ${number(own, 0)} of them your own` : "";
  $("server").textContent = `${count} parts${yours} · encoder ${encoder.slice(0, 8)}`;
});
for (const begin of [startToken, startContour, startPerformance, startRequirements, startSliders, startOpen, startHistory,
  startName, startDownloads, startLink, startJumps, startResults, startGenerate, startLive]) begin();
await greet();
start(state.heights, state.name, state.origin);
restore(start);
