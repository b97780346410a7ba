// Submitting a grid: photos, artists and settings, what they will take, and then off.

import { SPACE, count, dollars, say } from "./dom.js";
import { Zone } from "./inputs.js";
import { post } from "./session.js";

/** Quiet after a change before the coordinator is asked what it means, milliseconds. */
const QUIET = 400;

const form = document.getElementById("form");
const [submit, told, wrong, passed] = ["submit", "estimate", "wrong", "passed"].map((id) => document.getElementById(id));
const field = (name) => form.elements.namedItem(name);

const tell = { changed: () => change(), passed: (text) => say(passed, text) };
const photos = new Zone(document.getElementById("photos"), { what: "photo", areArtists: false, ...tell });
const artists = new Zone(document.getElementById("artists"), { what: "artist", areArtists: true, ...tell });

/** One for each grid that is submitted here: asked twice, the coordinator makes one grid of it. */
let request = newId();
/** The answer to the draft as it stands, or null. */
let estimate = null;
/** What was said last of what it takes; it stays in sight, fainter, until something else is known. */
let words = "";
let timer = null;
let asked = new AbortController();
let isSubmitting = false;

/** A random UUID; browsers have their own only for pages of this machine and of https. */
function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** `KEY=VALUE` each, the preset before what goes over it. */
function settings() {
  const keys = ["preset", "size", "iterations", "style_weight"];
  const plain = keys.map((key) => [key, field(key).value.trim()]).filter(([, value]) => value !== "");
  const further = field("further").value.split("\n").map((line) => line.trim());
  return [...plain.map((pair) => pair.join("=")), ...further.filter((line) => line !== "" && !line.startsWith("#"))];
}

/** The grid as it would be submitted; `null`: there is none yet. */
function draft() {
  const [held, by] = [photos.held(), artists.held()];
  if (held.length === 0 || by.length === 0) return null;
  return {
    name: field("name").value.trim(),
    submitter: field("submitter").value.trim(),
    photos: held.map(({ name, pictures }) => ({ name, sha256: pictures[0] })),
    artists: by.map(({ name, pictures }) => ({ name, paintings: pictures })),
    settings: settings(),
  };
}

/** A span of time as nobody would take for exact. */
function some(seconds) {
  if (seconds < 90) return "some " + Math.max(1, Math.round(seconds)) + SPACE + "s";
  if (seconds < 90 * 60) return "some " + Math.round(seconds / 60) + SPACE + "min";
  return "some " + Math.round(seconds / 3600) + SPACE + "h";
}

function inWords({ cells, seconds, dollars: cost }) {
  const pictures = count(cells, "picture");
  if (seconds === null && cost === null) return pictures + "; nobody can tell yet: nothing like it was rendered";
  const parts = [pictures, seconds === null ? null : some(seconds), cost === null ? null : "about " + dollars(cost)];
  return parts.filter(Boolean).join(", ");
}

/** What is told beside the button, and whether it can be pressed. */
function show() {
  const onTheirWay = photos.counted("waits", "sends") + artists.counted("waits", "sends");
  const refused = photos.counted("refused") + artists.counted("refused");
  if (estimate) words = inWords(estimate);
  else if (!draft()) words = "Add at least one photo and one painting";
  told.classList.toggle("stale", !estimate);
  const sentences = [
    words,
    onTheirWay > 0 ? count(onTheirWay, "file") + " on the way" : "",
    refused > 0 ? count(refused, "file") + (refused === 1 ? " was" : " were") + " refused and left out" : "",
  ];
  say(told, sentences.filter((sentence) => sentence !== "").join(". "));
  submit.disabled = !estimate || onTheirWay > 0;
}

/** After each change: what was said about the draft before holds no more. */
function change() {
  estimate = null;
  asked.abort();
  clearTimeout(timer);
  timer = setTimeout(ask, QUIET);
  show();
}

/** What a browser has against a field, in words, or nothing. */
function objection() {
  const bad = form.querySelector("input:invalid");
  return bad ? bad.labels[0].firstChild.textContent + ": " + bad.validationMessage : "";
}

async function ask() {
  const grid = draft();
  const against = objection();
  if (!grid || against) {
    say(wrong, against);
    if (against) words = "";
    show();
    return;
  }
  const own = new AbortController();
  asked = own;
  try {
    const answer = await post("/api/estimate", grid, own.signal);
    if (own.signal.aborted) return;
    estimate = answer;
    say(wrong, "");
  } catch (error) {
    if (error.name === "AbortError" || own.signal.aborted) return;
    say(wrong, error.message);
    words = "";
  }
  show();
}

async function send() {
  const grid = draft();
  if (!estimate || !grid || isSubmitting) return;
  isSubmitting = true;
  // Not `disabled`, which would take the focus from it.
  submit.setAttribute("aria-disabled", "true");
  say(wrong, "");
  try {
    const { id } = await post("/api/grids", { ...grid, request });
    location.assign("/grids/" + encodeURIComponent(id) + "/live");
  } catch (error) {
    say(wrong, error.message);
  }
  isSubmitting = false;
  submit.removeAttribute("aria-disabled");
}

form.addEventListener("input", change);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
// What is dropped beside a zone would be shown in place of this page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
// Whoever comes back from the grid that was submitted begins another one.
addEventListener("pageshow", (event) => {
  if (event.persisted) request = newId();
});
show();
