// How is the section drawn, and how does a hand or a key bend it?

import { $, number, path, svg } from "./dom.js";
import { HANDLES, bend, outline } from "./shape.js";
import { bendTo, on, settle, state } from "./store.js";

const PAD = 26; // px
const KEY_STEP = 0.001; // chords
const KEY_TIMES = 10;
const MIDDLE = 0.025; // chords; a fixed height, so that the drawing does not jump under the hand

const board = $("contour");
const grid = svg("g", { class: "grid", "aria-hidden": true });
const others = svg("g", { class: "others", "aria-hidden": true });
const shape = svg("path", { class: "own", "aria-hidden": true });
const handles = HANDLES.map(makeHandle);
const view = { width: 600, height: 240, x: Number, y: Number, scaleY: 1 };
let stretched = false;
let waiting = false;

export function startContour() {
  board.append(grid, others, shape, ...handles.map((handle) => handle.group));
  on("bent", () => drawSoon());
  on("overlays", drawOverlays);
  new ResizeObserver(fit).observe($("sheet"));
  $("stretch").addEventListener("click", () => {
    stretched = !stretched;
    $("stretch").setAttribute("aria-pressed", String(stretched));
    fit();
  });
  fit();
}

function fit() {
  const { clientWidth, clientHeight } = board;
  if (!clientWidth || !clientHeight) return;
  const scale = clientWidth - 2 * PAD;
  const scaleY = scale * (stretched ? 2 : 1);
  const middle = clientHeight / 2 - 6;
  Object.assign(view, { width: clientWidth, height: clientHeight, scaleY });
  view.x = (x) => PAD + x * scale;
  view.y = (y) => middle - (y - MIDDLE) * scaleY;
  board.setAttribute("viewBox", `0 0 ${clientWidth} ${clientHeight}`);
  drawGrid();
  drawOverlays();
  draw();
}

function drawGrid() {
  const lines = [];
  const half = view.height / 2 / view.scaleY;
  const step = half > 0.12 ? 0.1 : 0.05;
  for (let tick = Math.ceil((MIDDLE - half) / step); tick * step < MIDDLE + half; tick += 1) {
    const y = view.y(tick * step);
    if (y < 8 || y > view.height - 22) continue;
    lines.push(svg("line", { x1: PAD, x2: view.width - PAD, y1: y, y2: y, class: tick ? "" : "axis" }));
    lines.push(svg("text", { x: 2, y: y + 3.5 }, number(100 * tick * step, 0)));
  }
  for (let tick = 0; tick <= 10; tick += 1) {
    const x = view.x(tick / 10);
    lines.push(svg("line", { x1: x, x2: x, y1: 4, y2: view.height - 18 }));
    if (view.width > 420 || tick % 2 === 0) {
      const text = tick === 10 ? "100 % chord" : String(tick * 10);
      const place = tick === 10 ? { x: view.width - 2, "text-anchor": "end" } : { x, "text-anchor": "middle" };
      lines.push(svg("text", { ...place, y: view.height - 4 }, text));
    }
  }
  grid.replaceChildren(...lines);
}

function drawOverlays() {
  others.replaceChildren(...state.overlays.map(({ heights, tone }) =>
    svg("path", { class: `tone-${tone}`, d: path(outline(heights), view.x, view.y) })));
}

// Many moves may come within a frame; the drawing follows once a frame.
function drawSoon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function draw() {
  shape.setAttribute("d", `${path(outline(state.heights), view.x, view.y)}Z`);
  HANDLES.forEach(({ x, index, station }, i) => {
    const y = state.heights[index];
    const apart = Math.abs(state.heights[station] - state.heights[station + 65]) * view.scaleY;
    const { group, reach } = handles[i];
    group.setAttribute("transform", `translate(${view.x(x).toFixed(2)} ${view.y(y).toFixed(2)})`);
    group.setAttribute("aria-valuenow", (100 * y).toFixed(2));
    group.setAttribute("aria-valuetext", `${number(100 * y, 2)} % chord`);
    reach.setAttribute("r", Math.max(9, Math.min(18, apart / 2)).toFixed(1));
  });
}

function makeHandle(handle) {
  const reach = svg("circle", { class: "reach", r: 16 });
  const group = svg("g", {
    class: "handle", tabindex: 0, role: "slider", "aria-orientation": "vertical", "aria-valuemin": -35, "aria-valuemax": 35,
    "aria-label": `${handle.upper ? "Upper" : "Lower"} surface at ${number(100 * handle.x, 0)} % chord`,
    onpointerdown: (event) => drag(event, handle, group),
    onkeydown: (event) => nudge(event, handle),
    onkeyup: (event) => { if (event.key.startsWith("Arrow")) settle(); },
    onblur: settle,
  }, reach, svg("circle", { class: "knob", r: 5 }));
  return { group, reach };
}

function drag(down, handle, group) {
  if (down.button > 0) return;
  down.preventDefault();
  group.focus({ preventScroll: true });
  group.setPointerCapture(down.pointerId);
  const before = state.heights;
  const move = (event) => bendTo(bend(before, handle, (down.clientY - event.clientY) / view.scaleY), event.timeStamp);
  const stop = new AbortController();
  const end = () => { stop.abort(); settle(); };
  const escape = (event) => { if (event.key === "Escape") { bendTo(before); end(); } };
  group.addEventListener("pointermove", move, { signal: stop.signal });
  for (const kind of ["pointerup", "pointercancel"]) group.addEventListener(kind, end, { signal: stop.signal });
  document.addEventListener("keydown", escape, { signal: stop.signal });
}

function nudge(event, handle) {
  const direction = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 }[event.key];
  if (!direction) return;
  event.preventDefault();
  const step = KEY_STEP * (event.shiftKey ? KEY_TIMES : 1);
  bendTo(bend(state.heights, handle, direction * step), event.timeStamp);
}
