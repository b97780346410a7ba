// Who may act: whoever came by the address that `atelier local` prints. It ends with `#key=…`, which no page keeps in sight; it
// stays with the tab.

import { element } from "./dom.js";

/** Where the tab keeps the key. */
const PLACE = "atelier-key";
/** Wait before a coordinator that did not answer is asked again, milliseconds. */
const WAIT = 3_000;
const SILENT = "The coordinator does not answer; try again when it does.";

/** What was not done; `message` is a sentence to be shown as it is, and `mayPass` whether asking again can help. */
export class Refusal extends Error {
  constructor(message, mayPass) {
    super(message);
    this.mayPass = mayPass;
  }
}

let isKnown = false;
const listeners = [];

/** Calls `listener` with whether this page may act, once that is known and whenever it changes. */
export function whenKnown(listener) {
  listeners.push(listener);
}

function tell(mayAct, text) {
  isKnown = mayAct;
  document.body.classList.toggle("may-act", mayAct);
  for (const part of document.querySelectorAll("[data-acts]")) part.hidden = !mayAct;
  const line = document.getElementById("session");
  if (line) {
    line.hidden = mayAct;
    line.replaceChildren(text, " To act here, open the address that ", element("code", {}, "atelier local"), " prints.");
  }
  for (const listener of listeners) listener(mayAct);
}

/** The key of the address goes into the tab, and out of what is seen, copied and kept in the history. */
function takeKey() {
  const found = /^#key=([^&]*)/.exec(location.hash);
  if (!found) return;
  history.replaceState(history.state, "", location.pathname + location.search);
  sessionStorage.setItem(PLACE, found[1]);
}

function headers() {
  return { Authorization: "Bearer " + sessionStorage.getItem(PLACE) };
}

/** Asks whether the key is right. */
async function ask() {
  const key = sessionStorage.getItem(PLACE);
  if (key === null) {
    tell(false, "Read-only.");
    return;
  }
  // What cannot stand in a header is no key.
  const answer = /^[\x21-\x7e]+$/.test(key)
    ? await fetch("/api/session", { headers: headers(), cache: "no-store" }).catch(() => null)
    : { status: 401 };
  if (answer?.status === 204) tell(true, "");
  else if (answer?.status === 401) forget();
  else setTimeout(ask, WAIT);
}

function forget() {
  sessionStorage.removeItem(PLACE);
  tell(false, "Read-only: the key of this page is not right any more.");
}

/**
 * Posts a file, or anything else as JSON.
 *
 * Throws a `Refusal` that says why it was not done; what was given up by `signal` throws an `AbortError`.
 */
export async function post(path, body, signal = null) {
  const isFile = body instanceof Blob;
  const type = isFile ? "application/octet-stream" : "application/json";
  const options = { method: "POST", headers: { ...headers(), "Content-Type": type }, signal };
  let answer, text;
  try {
    answer = await fetch(path, { ...options, body: isFile ? body : JSON.stringify(body) });
    text = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(SILENT, true);
  }
  if (answer.status === 401) forget();
  if (!answer.ok) {
    const mayPass = answer.status >= 500 || answer.status === 429 || answer.status === 401;
    throw new Refusal(text.trim() || "The coordinator answers " + answer.status + ".", mayPass);
  }
  return text === "" ? null : JSON.parse(text);
}

takeKey();
// An address with another key, in a tab that shows this page, loads nothing anew.
addEventListener("hashchange", () => {
  takeKey();
  ask();
});
// Modules of the page itself have begun to listen by then.
addEventListener("DOMContentLoaded", ask);

/** Whether this page may act, as far as is known. */
export function mayAct() {
  return isKnown;
}
