// What is drawn and wanted, what was drawn before, and who wants to know when it changes?

import { naca, rounded } from "./shape.js";

export const state = {
  heights: naca(0.02, 0.4, 0.12),
  name: "NACA 2412",
  origin: "from the NACA four-digit formula",
  wants: { reynolds: 1e6, n_crit: 9 },
  overlays: [], // {key, name, heights, tone}
  catalogue: null,
};

const OVERLAYS_MAX = 3;
const DEPTH_MAX = 200;
const listeners = new Map();
let past = [snapshot()];
let future = [];

// Topics: "bent" (the shape, at every frame; `at` is when the hand moved), "settled" (the hand let go), "wants",
// "overlays", "catalogue", "encoded".
export function on(topics, listener) {
  for (const topic of topics.split(" ")) listeners.set(topic, [...(listeners.get(topic) ?? []), listener]);
}

export function tell(topic, detail) {
  for (const listener of listeners.get(topic) ?? []) listener(detail);
}

function snapshot() {
  return { heights: state.heights, name: state.name, origin: state.origin };
}

// While a hand moves: no step of the history.
export function bendTo(heights, at = performance.now()) {
  state.heights = heights;
  tell("bent", { at });
}

export function settle() {
  if (state.heights === past.at(-1).heights && state.name === past.at(-1).name) return;
  state.heights = rounded(state.heights);
  if (state.origin && !state.origin.startsWith("edited") && state.origin === past.at(-1).origin) {
    state.origin = `edited, began as ${state.origin}`;
  }
  keep();
}

export function replace(heights, name, origin) {
  Object.assign(state, { heights: rounded(heights), name, origin });
  tell("bent", { at: performance.now() });
  keep();
}

function keep() {
  past = [...past, snapshot()].slice(-DEPTH_MAX);
  future = [];
  tell("settled");
}

// The first drawing of a link or a catalogue is no step that could be undone.
export function start(heights, name, origin) {
  Object.assign(state, { heights: rounded(heights), name, origin });
  past = [snapshot()];
  tell("bent", { at: performance.now() });
  tell("settled");
}

export const canUndo = () => past.length > 1;
export const canRedo = () => future.length > 0;

export function undo() {
  if (!canUndo()) return;
  future = [past.at(-1), ...future];
  past = past.slice(0, -1);
  restore(past.at(-1));
}

export function redo() {
  if (!canRedo()) return;
  past = [...past, future[0]];
  future = future.slice(1);
  restore(past.at(-1));
}

function restore(kept) {
  Object.assign(state, kept);
  tell("bent", { at: performance.now() });
  tell("settled");
}

export function rename(name) {
  state.name = name;
  past[past.length - 1] = snapshot();
  tell("renamed");
}

export const isOverlaid = (key) => state.overlays.some((overlay) => overlay.key === key);

export function overlay({ key, name, heights }) {
  const others = state.overlays.filter((shown) => shown.key !== key);
  if (others.length < state.overlays.length) {
    state.overlays = others;
  } else {
    const kept = others.slice(-(OVERLAYS_MAX - 1));
    const tone = [1, 2, 3].find((t) => kept.every((shown) => shown.tone !== t));
    state.overlays = [...kept, { key, name, heights, tone }];
  }
  tell("overlays");
}

export function want(wants) {
  state.wants = wants;
  tell("wants");
}
