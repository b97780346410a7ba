// The board: grids and nodes as the coordinator tells them, and for whoever may what can be done to a node.

import { SPACE, bdi, button, cellsDone, count, dollars, element, hasEnded, patch, roughly, say, showEach } from "./dom.js";
import { follow } from "./feed.js";
import { looker, post, whenKnown } from "./session.js";

/** Longest wait for a node to be shown in its new state before its buttons can be pressed again, milliseconds. */
const TURN = 10_000;

const TONES = { quarantined: "bad", finished: "good" };

function state(word, more) {
  const told = element("span", { class: TONES[word] ?? null }, word);
  return element("td", {}, told, more ? element("small", {}, bdi(more)) : null);
}

function gridRow(grid) {
  const cost = grid.dollars_expected ?? (grid.dollars_spent > 0 ? grid.dollars_spent : null);
  const spent = grid.dollars_expected !== null ? dollars(grid.dollars_spent) + " so far" : null;
  const { bar, label, others } = cellsDone(grid.cells);
  const gallery = "/grids/" + grid.id + "/";
  const live = { href: gallery + "live", class: "live", "data-key": "live " + grid.id, "aria-label": "live: " + grid.name };
  return element(
    "tr",
    {},
    element(
      "th",
      { scope: "row" },
      element("a", { href: gallery, "data-key": "gallery " + grid.id }, bdi(grid.name)),
      hasEnded(grid.state) ? null : element("a", live, "live"),
      grid.submitter ? element("small", {}, bdi(grid.submitter)) : null,
    ),
    state(grid.state, grid.waits_for ? "waits: " + grid.waits_for : null),
    element("td", {}, bar, label, others ? element("small", {}, others) : null),
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
    element("td", {}, String(node.cells_held), ...node.renders.map((name) => element("small", {}, bdi(name)))),
    element("td", {}, String(node.cells_done)),
    element("td", {}, node.speed === null ? "" : speed(node.speed)),
    element("td", {}, cost),
    looker().may_steer ? element("td", { class: "acts" }, ...actions(node)) : null,
  );
}

/** How fast a node works, in megapixels that are evaluated in a second. */
function speed(work) {
  return (work < 10 ? Number(work.toPrecision(2)) : Math.round(work)) + SPACE + "MP/s";
}

/**
 * What can be done to a node: a key, under which doing and undoing share the focus, a label, the state that it leads to, and
 * whether it asks for a reason.
 */
const ACTIONS = {
  active: [["drain", "Drain", "draining", true], ["quarantine", "Quarantine", "quarantined", true]],
  draining: [["drain", "Undrain", "active", false], ["quarantine", "Quarantine", "quarantined", true]],
  quarantined: [["quarantine", "Lift quarantine", "active", false]],
};

function actions(node) {
  const isTurning = turning.has(node.id);
  return (ACTIONS[node.state] ?? []).map(([key, label, to, asks]) => {
    // Not `disabled`, which would take the focus from it.
    const attributes = {
      "aria-label": label + ": " + node.name,
      "aria-disabled": isTurning ? "true" : null,
      "data-key": key + " " + node.id,
    };
    return button(label, attributes, () => {
      if (turning.has(node.id)) return;
      if (asks) askWhy(node, label, to, attributes["data-key"]);
      else turn(node, to, "");
    });
  });
}

/** Nodes that were told to change, each with the state that it is to be in. */
const turning = new Map();

async function turn(node, to, reason) {
  say(refused, "");
  turning.set(node.id, to);
  show();
  try {
    await post("/api/nodes/" + encodeURIComponent(node.id), { state: to, reason });
    say(said, node.name + " will be " + to + ".");
    // An event that was on its way may tell the old state still; the one after it tells the new one.
    await new Promise((resolve) => setTimeout(resolve, TURN));
  } catch (error) {
    say(refused, error.message);
  }
  if (turning.get(node.id) === to) turning.delete(node.id);
  show();
}

const QUESTIONS = {
  draining: {
    title: "Drain ",
    told: "It gets no more cells, finishes those that it holds, and leaves.",
    label: "Reason, if you like",
  },
  quarantined: { title: "Quarantine ", told: "It stays and gets no more cells until somebody lifts it.", label: "Reason" },
};

const dialog = document.getElementById("why");
const reason = document.getElementById("why-reason");
let closed = () => {};

function askWhy(node, label, to, key) {
  const question = QUESTIONS[to];
  document.getElementById("why-title").replaceChildren(question.title, bdi(node.name));
  document.getElementById("why-told").textContent = question.told;
  dialog.querySelector("label").textContent = question.label;
  dialog.querySelector(".chief").textContent = label;
  reason.value = "";
  reason.required = to === "quarantined";
  // A space is no reason.
  reason.pattern = reason.required ? ".*\\S.*" : ".*";
  closed = () => {
    // The button that opened it has the focus again, unless it was made anew in the meantime.
    if (!nodes.contains(document.activeElement)) nodes.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
    if (dialog.returnValue === "yes") turn(node, to, reason.value.trim());
  };
  dialog.returnValue = "";
  dialog.showModal();
}

dialog.addEventListener("close", () => closed());
document.getElementById("why-not").addEventListener("click", () => dialog.close());

/** The machines of the fleet in a few words: how many there are, what they cost, and why there are not more. */
function fleetWords({ wanted, machines, dollars_per_hour, reasons, trouble }) {
  const words = [count(wanted, "node") + " wanted by the backlog"];
  if (machines) {
    const states = ["starting", "busy", "idle", "leaving"].filter((state) => machines[state] > 0);
    const there = states.map((state) => machines[state] + SPACE + state).join(", ");
    words.push(count(machines.desired, "machine") + " asked for" + (there ? ": " + there : ""));
  }
  if (dollars_per_hour) words.push("about " + dollars(dollars_per_hour) + " an hour");
  return [words.join("; "), ...reasons, ...(trouble ? [trouble.split("\n")[0]] : [])].join(" · ");
}

const [grids, nodes, news, fleet, refused, said] = ["grids", "nodes", "news", "fleet", "refused", "said"].map((id) =>
  document.getElementById(id),
);
let status = null;

/** Puts a row for each of these into a table, or one that says that there is none. */
function fill(body, items, row, none) {
  const empty = () => element("tr", {}, element("td", { class: "none", colspan: 8 }, none));
  const made = (item) => (item ? row(item) : empty());
  showEach(body, items.length > 0 ? items : [null], (item) => item?.id ?? "none", made, (own, item) => patch(own, made(item)));
}

function show() {
  if (!status) return;
  for (const node of status.nodes) {
    if (turning.get(node.id) === node.state) turning.delete(node.id);
  }
  fill(grids, status.grids, gridRow, "No grid was submitted yet.");
  fleet.hidden = !status.fleet;
  say(fleet, status.fleet ? fleetWords(status.fleet) : "");
  fill(nodes, status.nodes, nodeRow, "No node is there: start one with atelier-node run.");
}

whenKnown(show);
follow("/events", "status", news, (told) => {
  status = told;
  show();
});
