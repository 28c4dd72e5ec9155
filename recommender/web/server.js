// How is the server asked? One question of a kind in flight, the latest wins; a refusal carries the server's own sentence.

const TOKEN = "unjar-token";
let askForToken = async () => null;

export class Refused extends Error {
  constructor(status, answer, retryAfter) {
    super(typeof answer?.error === "string" ? answer.error : `the server answered ${status} and gave no reason`);
    Object.assign(this, { status, code: answer?.code ?? "", requestId: answer?.request_id ?? "", retryAfter });
  }
}

export class Unreachable extends Error {}

export function onTokenWanted(asker) {
  askForToken = asker;
}

export async function ask(address, body, { signal, accept } = {}) {
  const response = await reach(address, body, signal, accept);
  const requestId = response.headers.get("x-request-id") ?? "";
  const answer = response.status === 202 || response.status === 204 ? {} : await readJson(response);
  return { answer, requestId };
}

async function reach(address, body, signal, accept = "application/json") {
  const headers = { accept };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.authorization = `Bearer ${token}`;
  if (body) headers["content-type"] = "application/json";
  const options = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal };
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("the server does not answer");
  }
  if (response.ok) return response;
  const refusal = await response.json().catch(() => null);
  if (response.status === 401 && await gotToken(token, refusal)) return reach(address, body, signal, accept);
  if ([502, 504].includes(response.status)) throw new Unreachable(`the server does not answer (${response.status})`);
  throw new Refused(response.status, refusal, Number(response.headers.get("retry-after")) || null);
}

let asking = null; // several questions may find the door closed at once; the user is asked once

async function gotToken(refused, refusal) {
  if (sessionStorage.getItem(TOKEN) !== refused) return true;
  asking ??= askForToken(refused && refusal?.error).finally(() => { asking = null; });
  const given = await asking;
  if (given) sessionStorage.setItem(TOKEN, given);
  return Boolean(given);
}

async function readJson(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("the server's answer broke off");
  }
}

// lane()(question) runs one question at a time; of those that wait only the latest is asked. `question` makes the promise.
export function lane() {
  let busy = false;
  let waiting = null;
  return function enter(question) {
    if (busy) { waiting = question; return; }
    busy = true;
    question().finally(() => {
      busy = false;
      const next = waiting;
      waiting = null;
      if (next) enter(next);
    });
  };
}

// Server-sent events as the answer to a POST, which EventSource cannot ask. Resolves with the data of `result`.
export async function stream(address, body, onProgress, signal) {
  const response = await reach(address, body, signal, "text/event-stream");
  const requestId = response.headers.get("x-request-id") ?? "";
  for await (const { event, data } of events(response)) {
    if (event === "progress") onProgress(data);
    if (event === "error") throw new Refused(data.status ?? 500, data);
    if (event === "result") return { answer: data, requestId };
  }
  throw new Unreachable("the server's answer broke off");
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Unreachable("the server's answer broke off");
    });
    if (done) return;
    held = (held + value).replaceAll("\r\n", "\n");
    const blocks = held.split("\n\n");
    held = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split("\n").filter((line) => line.startsWith(`${name}:`))
        .map((line) => line.slice(name.length + 1).trimStart()).join("\n");
      if (field("data")) yield { event: field("event") || "message", data: JSON.parse(field("data")) };
    }
  }
}
