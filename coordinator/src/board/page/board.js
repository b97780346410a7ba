"use strict";
// Shows what the coordinator tells, whenever it tells it. Text is always set as text, so that no name can become markup.

const SPACE = "\u00a0";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

function bdi(text) {
  return element("bdi", {}, text);
}

/** A span of time that is only estimated, to two units at most. */
function roughly(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return hours + SPACE + "h " + minutes + SPACE + "min";
  if (minutes > 0) return minutes + SPACE + "min " + Math.round(seconds % 60) + SPACE + "s";
  return Math.round(seconds) + SPACE + "s";
}

function dollars(amount) {
  return amount > 0 && amount < 0.01 ? "<$0.01" : "$" + amount.toFixed(2);
}

const TONES = { failed: "bad", quarantined: "bad", finished: "good", done: "good" };

function state(word, more) {
  const told = element("span", { class: TONES[word] ?? null }, word);
  return element("td", {}, told, more ? element("small", {}, bdi(more)) : null);
}

function progress(cells) {
  const all = Object.values(cells).reduce((sum, count) => sum + count, 0);
  const done = cells.done ?? 0;
  const others = ["rendering", "leased", "queued", "failed", "cancelled"].filter((word) => cells[word]);
  const told = others.map((word) => cells[word] + " " + word).join(", ");
  const label = done + " of " + all + " done";
  return element(
    "td",
    {},
    element("progress", { max: Math.max(1, all), value: done, "aria-label": label }),
    label,
    told ? element("small", {}, told) : null,
  );
}

function gridRow(grid) {
  const cost = grid.dollars_expected ?? (grid.dollars_spent > 0 ? grid.dollars_spent : null);
  const spent = grid.dollars_expected !== null ? dollars(grid.dollars_spent) + " so far" : null;
  return element(
    "tr",
    {},
    element(
      "th",
      { scope: "row" },
      element("a", { href: "grids/" + grid.id + "/" }, bdi(grid.name)),
      grid.submitter ? element("small", {}, bdi(grid.submitter)) : null,
    ),
    state(grid.state, grid.waits_for ? "waits: " + grid.waits_for : null),
    progress(grid.cells),
    element("td", {}, grid.seconds_left === null ? "" : roughly(grid.seconds_left)),
    element("td", {}, cost === null ? "" : dollars(cost), spent ? element("small", {}, spent) : null),
    element("td", {}, new Date(grid.submitted_at).toLocaleString()),
  );
}

function nodeRow(node) {
  const cost = node.dollars_per_hour === null ? "" : dollars(node.dollars_per_hour) + " an hour";
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, bdi(node.name)),
    state(node.state, node.reason),
    element("td", {}, bdi(node.device)),
    element("td", {}, String(node.cells_held)),
    element("td", {}, String(node.cells_done)),
    element("td", {}, cost),
  );
}

/** Puts rows into a table; a link that has the focus keeps it. */
function fill(id, rows, none) {
  const body = document.getElementById(id);
  const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const empty = element("tr", {}, element("td", { class: "none", colspan: 6 }, none));
  body.replaceChildren(...(rows.length > 0 ? rows : [empty]));
  if (focused) body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

function show(status) {
  fill("grids", status.grids.map(gridRow), "No grid was submitted yet.");
  fill("nodes", status.nodes.map(nodeRow), "No node is there: start one with atelier-node run.");
}

const news = document.getElementById("news");
const events = new EventSource("events");
events.addEventListener("status", (event) => {
  show(JSON.parse(event.data));
  news.textContent = "As it stands now";
});
events.addEventListener("error", () => {
  // It comes back by itself.
  news.textContent = "The coordinator does not answer; trying again …";
});
