// How does a link hold the drawing? Name, wants, and heights to 1/80,000 of chord in its fragment, which no browser sends on.

import { known } from "./requirements.js";
import { isShape } from "./shape.js";
import { state } from "./store.js";

const STEPS = 80000;

export function toFragment() {
  const steps = new Int16Array(state.heights.map((y) => Math.max(-32767, Math.min(32767, Math.round(y * STEPS)))));
  const text = JSON.stringify({ n: state.name, w: state.wants, h: base64(new Uint8Array(steps.buffer)) });
  return `#s=${base64(new TextEncoder().encode(text))}`;
}

// Raises RangeError where the fragment holds no drawing.
export function fromFragment(fragment) {
  try {
    const { n, w, h } = JSON.parse(new TextDecoder().decode(bytes(fragment.slice(3))));
    const heights = [...new Int16Array(bytes(h).buffer)].map((step) => step / STEPS);
    if (!isShape(heights)) throw new RangeError("no shape");
    return { heights, name: String(n ?? "").slice(0, 60), wants: known(w) };
  } catch {
    throw new RangeError("link: found a fragment that holds no drawing, expected one that Copy link made");
  }
}

export const holdsDrawing = (fragment) => fragment.startsWith("#s=");

function base64(array) {
  return btoa(String.fromCharCode(...array)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function bytes(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}
