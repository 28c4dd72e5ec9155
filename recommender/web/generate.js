// How are new sections searched for: started, watched, cancelled?

import { $, signed } from "./dom.js";
import { clear, fault, say } from "./notices.js";
import { known } from "./requirements.js";
import { show } from "./results.js";
import { stream } from "./server.js";
import { rounded } from "./shape.js";
import { on, state } from "./store.js";

const STEPS = 40;
let running = null;

export function startGenerate() {
  $("generate").addEventListener("click", generate);
  $("cancel").addEventListener("click", () => running?.abort());
  on("settled wants", () => {
    if ($("panel-generated").querySelector(".card")) lead("For an earlier shape or other requirements; generate again.");
  });
  lead("Searches for shapes that no catalogue has, within your requirements and within what the predictions know.");
}

async function generate() {
  running = new AbortController();
  const heights = rounded(state.heights);
  const question = { shape: { heights }, requirements: known(state.wants), seed: Number($("seed").value) || 0, steps: STEPS };
  clear($("generate-fault"));
  busy(true);
  try {
    const { answer, requestId } = await stream("/v1/generate", question, progress, running.signal);
    const { generated, scored, feasible, nearest_miss: miss, seed } = answer;
    const best = generated.length ? `${feasible} of ${scored} shapes meet the requirements (seed ${seed}).` : "";
    const shown = generated.length ? generated : [miss?.part].filter(Boolean);
    show("generated", shown, best || `${miss?.says ?? "None feasible"}.`, requestId, heights);
    say(generated.length ? `${generated.length} sections generated` : "No section could be generated");
  } catch (error) {
    if (error.name === "AbortError") { lead("Cancelled."); say("Cancelled"); }
    fault($("generate-fault"), error);
  }
  busy(false);
  running = null;
}

function progress({ step, steps, feasible, gain }) {
  $("progress").max = steps;
  $("progress").value = step;
  lead(`Step ${step} of ${steps}: ${feasible} feasible, best ${gain === null ? "none yet" : `${signed(gain, 1)} % L/D`}`);
}

function busy(on) {
  $("progress").hidden = !on;
  $("cancel").hidden = !on;
  $("generate").disabled = on;
  $("progress").value = 0;
}

function lead(text) {
  $("panel-generated").querySelector(".lead").textContent = text;
}
