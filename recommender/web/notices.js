// Where is a person told what happened? Errors where they happened, the connection in one banner, the rest in one live region.

import { $ } from "./dom.js";
import { Refused, Unreachable, ask } from "./server.js";
import { state, tell } from "./store.js";

const FIRST_S = 1;
const LAST_S = 15;
let trying = false;

export function say(text) {
  $("says").textContent = text;
}

export function clear(place) {
  place.hidden = true;
  place.textContent = "";
}

// A fault that still holds is marked by who said it, in the data of that name.
export function clearUnless(place, mark) {
  if (place.dataset[mark] !== place.textContent) clear(place);
}

// An error belongs to the place that asked; a server that is away belongs to the whole page and is tried again.
export function fault(place, error, before = "") {
  if (error.name === "AbortError") return;
  if (error instanceof Unreachable) { lost(error); return; }
  if (error instanceof Refused && error.status === 503) lost(error, error.retryAfter);
  const known = error instanceof Refused || error instanceof RangeError;
  place.textContent = before + (known ? error.message : `this page failed: ${error.message}`);
  place.hidden = false;
}

async function lost(error, retryAfter) {
  if (trying) return;
  trying = true;
  let wait = retryAfter ?? FIRST_S;
  for (let reason = error.message; reason;) {
    await countdown(reason, wait);
    reason = await tryAgain();
    wait = Math.min(LAST_S, wait * 2);
  }
  trying = false;
  $("connection").hidden = true;
  say("The server answers again");
  tell("reconnected");
}

async function countdown(reason, seconds) {
  const banner = $("connection");
  banner.textContent = `${sentence(reason)} Your drawing is kept; the server is tried again every few seconds.`;
  banner.hidden = false;
  await new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });
}

async function tryAgain() {
  try {
    const { answer } = await ask("/v1/catalogue");
    state.catalogue = answer;
    tell("catalogue");
    return "";
  } catch (error) {
    return error.message;
  }
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
