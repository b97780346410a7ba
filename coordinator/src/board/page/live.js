// A grid at work: the pictures that are being painted, as they come out of the noise, and what became of the others.

import { bdi, cellsDone, count, dollars, element, hasEnded, patch, roughly, say, showEach } from "./dom.js";
import { follow } from "./feed.js";
import "./session.js";

/** Previews that are fetched at once: a browser has few connections to one server, and the events need one. */
const FETCHES_MAX = 3;

/** `/grids/ID/`: what pictures lie under, and the gallery. */
const BASE = location.pathname.replace(/live\/?$/, "");

/** What a cell is, in names that people gave; without a photo or without an artist it is a reconstruction. */
function caption({ photo, artist, variant }) {
  const names = [photo, artist].filter((name) => name !== null).map(bdi);
  const between = names.length === 2 ? [names[0], " × ", names[1]] : names;
  return variant ? [...between, element("small", {}, bdi(variant))] : between;
}

function title({ photo, artist, variant }) {
  const names = [photo, artist].filter((name) => name !== null).join(" × ");
  return variant ? names + ", " + variant : names;
}

/** The pictures that are being painted, each shown when it has been loaded whole, so that nothing flickers. */
class Previews {
  constructor() {
    this.fetches = 0;
    this.waiting = new Map();
    this.shown = new WeakMap();
    this.inSight = new WeakSet();
    this.observer = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          if (isIntersecting) this.inSight.add(target);
          else this.inSight.delete(target);
        }
        this.next();
      },
      { rootMargin: "400px" },
    );
  }

  /** The frame is to show the cell as it is after so many evaluations. */
  want(frame, cell) {
    if (!this.shown.has(frame)) {
      this.shown.set(frame, null);
      this.observer.observe(frame);
    }
    if (this.shown.get(frame) === cell.evaluations || cell.state !== "rendering") return;
    this.waiting.set(frame, cell);
    this.next();
  }

  next() {
    for (const [frame, cell] of this.waiting) {
      if (this.fetches >= FETCHES_MAX) return;
      if (!this.inSight.has(frame)) continue;
      this.waiting.delete(frame);
      this.load(frame, cell);
    }
  }

  async load(frame, cell) {
    this.fetches += 1;
    this.shown.set(frame, cell.evaluations);
    const image = element("img", { src: BASE + cell.preview + "?e=" + cell.evaluations, alt: title(cell) + ", so far" });
    try {
      await image.decode();
      // The one before lies under it until the next one comes, so that the new one can come in softly.
      const before = [...frame.querySelectorAll("img")];
      before.slice(0, -1).forEach((old) => old.remove());
      before.at(-1)?.setAttribute("alt", "");
      frame.append(image);
    } catch {
      // There is none yet; what is shown stays.
    }
    this.fetches -= 1;
    this.next();
  }

  forget(frame) {
    this.observer.unobserve(frame);
    this.waiting.delete(frame);
  }
}

const previews = new Previews();

function tile(cell) {
  return element(
    "li",
    { class: "tile" },
    element("div", { class: "frame" }, element("span", { "aria-hidden": "true" }, "no picture yet")),
    element("div", { class: "caption" }, ...caption(cell)),
    element("div", { class: "at" }),
  );
}

function updateTile(own, cell) {
  const { evaluations, planned, node } = cell;
  const isBegun = cell.state === "rendering";
  const label = !isBegun ? "about to begin" : planned ? evaluations + " of " + planned : count(evaluations, "evaluation");
  const value = isBegun && planned ? Math.min(evaluations, planned) : 0;
  const bar = { max: Math.max(1, planned ?? 1), value, "aria-label": title(cell), "aria-valuetext": label };
  patch(
    own.querySelector(".at"),
    element(
      "div",
      {},
      element("progress", bar),
      element("small", { class: "ends" }, element("span", {}, label), node ? bdi(node) : null),
    ),
  );
  previews.want(own.querySelector(".frame"), cell);
}

function failure(cell) {
  const at = cell.next_at ? new Date(cell.next_at) : null;
  const next = at ? ", next at " + at.toLocaleTimeString() : "";
  return element(
    "li",
    {},
    element("b", {}, ...caption(cell)),
    element("p", { class: "reason" }, bdi(cell.reason)),
    element("small", {}, count(cell.attempts, "attempt") + next),
  );
}

function thumbnail(cell) {
  const names = title(cell);
  const picture = cell.thumbnail
    ? element("img", { src: BASE + cell.thumbnail, alt: names, loading: "lazy", decoding: "async" })
    : element("span", { class: "no-picture" }, bdi(names));
  return element("li", {}, element("a", { href: BASE, title: names, "data-key": "done " + cell.key }, picture));
}

function facts(grid) {
  const { bar, label, others } = cellsDone(grid.cells);
  const cost = grid.dollars_expected !== null
    ? dollars(grid.dollars_spent) + " of about " + dollars(grid.dollars_expected)
    : grid.dollars_spent > 0 ? dollars(grid.dollars_spent) : null;
  const told = [
    grid.state,
    others,
    grid.seconds_left === null || hasEnded(grid.state) ? null : roughly(grid.seconds_left) + " left",
    cost,
  ];
  return element(
    "div",
    {},
    grid.submitter ? element("p", { class: "quiet" }, "by ", bdi(grid.submitter)) : "",
    element("p", { class: "whole" }, bar, element("b", {}, label)),
    element("p", { class: "quiet" }, told.filter(Boolean).join(" · ")),
    grid.waits_for ? element("p", { class: "bad" }, "Waits: ", bdi(grid.waits_for)) : "",
  );
}

/** Why nothing is being painted. */
function idle(grid) {
  if (grid.state === "finished") return "Everything has been painted. ";
  if (hasEnded(grid.state)) return "Nothing more will be painted. ";
  return grid.state === "paused" ? "The grid is paused. " : "Nothing is being painted at this moment. ";
}

const part = (id) => document.getElementById(id);

/** A section is there while there is something in it. */
function list(id, cells, make, update) {
  showEach(part(id), cells, (cell) => cell.key, make, update);
  part(id).closest("section").hidden = cells.length === 0;
}

function show(grid) {
  const isNamed = part("name").textContent === grid.name;
  if (!isNamed) part("name").replaceChildren(bdi(grid.name));
  const { label } = cellsDone(grid.cells);
  document.title = label + " – " + grid.name + " – Atelier";
  patch(part("facts"), facts(grid));

  const keys = new Set(grid.painting.map((cell) => cell.key));
  for (const own of part("painting").children) {
    if (!keys.has(own.dataset.item)) previews.forget(own.querySelector(".frame"));
  }
  list("painting", grid.painting, tile, updateTile);
  part("painting").closest("section").hidden = false;
  part("idle").hidden = grid.painting.length > 0;
  const link = element("a", { href: BASE, "data-key": "gallery" }, "See the gallery");
  patch(part("idle"), element("p", {}, idle(grid), link));

  const again = (own, cell) => patch(own, failure(cell));
  list("retrying", grid.retrying, failure, again);
  list("failed", grid.failed, failure, again);
  list("done", grid.done, thumbnail, (own, cell) => {
    if (cell.thumbnail && !own.querySelector("img")) patch(own, thumbnail(cell));
  });
  const more = (grid.cells.done ?? 0) - grid.done.length;
  say(part("more"), more > 0 ? "and " + more + " more in the gallery" : "");
}

follow(BASE + "live/events", "grid", part("news"), show);
