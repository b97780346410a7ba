// Who looks, and what they may do. A browser shows who it is by a cookie that no script can read. It gets one for a token, or for
// the key with which the address ends that `atelier local` prints: `#key=…`, which no page keeps in sight.

import { bdi, button, element } from "./dom.js";

/** Wait before a coordinator that did not answer is asked again, milliseconds. */
const WAIT = 3_000;
const SILENT = "The coordinator does not answer; try again when it does.";
const NOBODY = { named: false, name: null, role: null, may_submit: false, may_steer: false, may_name: false };

/** What was not done; `message` is a sentence to be shown as it is, and `mayPass` whether asking again can help. */
export class Refusal extends Error {
  constructor(message, mayPass) {
    super(message);
    this.mayPass = mayPass;
  }
}

let who = NOBODY;
const listeners = [];

/** Calls `listener` with what this page may do, once that is known and whenever it changes. */
export function whenKnown(listener) {
  listeners.push(listener);
}

/** Who looks: a name and a role where people have some, and what they may do. */
export function looker() {
  return who;
}

function tell(told, ...words) {
  who = told;
  for (const part of document.querySelectorAll("[data-submits]")) part.hidden = !told.may_submit;
  for (const part of document.querySelectorAll("[data-steers]")) part.hidden = !told.may_steer;
  for (const part of document.querySelectorAll("[data-names]")) part.hidden = !told.may_name;
  const line = document.getElementById("session");
  if (line) {
    line.hidden = words.length === 0;
    line.replaceChildren(...words);
  }
  for (const listener of listeners) listener(told);
}

function show(told) {
  if (told.name !== null) {
    tell(told, bdi(told.name), " (" + told.role + ") ", button("Log out", {}, logOut));
  } else if (told.may_submit) {
    tell(told);
  } else {
    tell(told, "Read-only. To act here, open the address that ", element("code", {}, "atelier local"), " prints.");
  }
}

/** Who the coordinator takes this browser for; `null`: it must log in first. Throws a `Refusal` when there is no answer. */
export async function whoIsThis() {
  const answer = await fetch("/api/session", { cache: "no-store" }).catch(() => null);
  if (answer?.status === 401) return null;
  if (!answer?.ok) throw new Refusal(SILENT, true);
  return answer.json();
}

/** Has the coordinator know this browser by a token, or by the board's key. Throws a `Refusal` when that is wrong. */
export async function logIn(token) {
  return post("/api/session", { token });
}

async function logOut() {
  const answer = await fetch("/api/session", { method: "DELETE" }).catch(() => null);
  if (answer?.ok) location.assign("/login");
  else tell(who, "You are still logged in: the coordinator did not log you out. ", button("Log out", {}, logOut));
}

/** The key of the address goes out of what is seen, copied and kept in the history. */
async function takeKey() {
  const found = /^#key=([^&]*)/.exec(location.hash);
  if (!found) return;
  history.replaceState(history.state, "", location.pathname + location.search);
  await logIn(found[1]).catch(() => {});
}

/** Asks who looks, now that this may have changed. */
export function askAgain() {
  if (who.named) ask();
}

async function ask() {
  try {
    await takeKey();
    const told = await whoIsThis();
    if (told) show(told);
    else location.replace("/login?to=" + encodeURIComponent(location.pathname + location.search));
  } catch {
    setTimeout(ask, WAIT);
  }
}

/** After a refusal: what was true of this page is so no more, but what somebody has written into it stays. */
function forget() {
  const link = element("a", { href: "/login", target: "_blank", rel: "noopener" }, "log in anew");
  if (who.named) tell({ ...NOBODY, named: true }, "You are logged out: ", link, " and come back.");
  else tell(NOBODY, "Read-only: the key of this page is not right any more.");
}

/**
 * Posts a file, or anything else as JSON.
 *
 * Throws a `Refusal` that says why it was not done; what was given up by `signal` throws an `AbortError`.
 */
export async function post(path, body, signal = null) {
  const isFile = body instanceof Blob;
  const type = isFile ? "application/octet-stream" : "application/json";
  const options = { method: "POST", headers: { "Content-Type": type }, signal };
  let answer, text;
  try {
    answer = await fetch(path, { ...options, body: isFile ? body : JSON.stringify(body) });
    text = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(SILENT, true);
  }
  if (answer.status === 401 && path !== "/api/session") forget();
  if (!answer.ok) {
    const mayPass = answer.status >= 500 || answer.status === 429 || answer.status === 401;
    throw new Refusal(text.trim() || "The coordinator answers " + answer.status + ".", mayPass);
  }
  return text === "" ? null : JSON.parse(text);
}

// The page on which people log in asks by itself.
if (location.pathname !== "/login") {
  // An address with another key, in a tab that shows this page, loads nothing anew.
  addEventListener("hashchange", ask);
  // Whoever has logged in anew in another tab comes back to this one.
  addEventListener("focus", () => {
    if (who.name === null) askAgain();
  });
  // Modules of the page itself have begun to listen by then.
  addEventListener("DOMContentLoaded", ask);
}
