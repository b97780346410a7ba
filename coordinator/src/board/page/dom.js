// Elements, lists of them, and numbers as people read them: what the pages of the board share. Text is always set as text, so
// that no name can become markup.

export const SPACE = "\u00a0";

/** An element with these attributes and children; what is null, or an empty text, is left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

/** A name that people gave: it may be of either direction, and must not turn what stands beside it. */
export function bdi(text) {
  return element("bdi", {}, text);
}

export function button(label, attributes, act) {
  const made = element("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", act);
  return made;
}

/** Says a text where it is not said already: what is set anew is read out anew. */
export function say(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/**
 * Makes an element like another one of the same kind, child by child: a child that is the same already stays, with its focus
 * and with a press of the mouse that has begun.
 */
export function patch(old, made) {
  const [before, after] = [[...old.childNodes], [...made.childNodes]];
  before.slice(after.length).forEach((child) => child.remove());
  after.forEach((child, index) => {
    if (index >= before.length) old.append(child);
    else if (!before[index].isEqualNode(child)) before[index].replaceWith(child);
  });
}

/**
 * Shows items in an element, each in one of its own that stays as long as the item does: `make` makes it, `update` tells it
 * what is new. What has the focus keeps it; where it was made anew, what has the same `data-key` gets it.
 */
export function showEach(parent, items, keyOf, make, update) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const old = new Map([...parent.children].map((child) => [child.dataset.item, child]));
  const shown = items.map((item) => {
    const key = String(keyOf(item));
    const own = old.get(key) ?? make(item);
    old.delete(key);
    own.dataset.item = key;
    update(own, item);
    return own;
  });
  for (const gone of old.values()) gone.remove();
  // What is in its place is left there: an element that is moved loses the focus.
  let place = parent.firstElementChild;
  for (const own of shown) {
    if (own === place) place = place.nextElementSibling;
    else parent.insertBefore(own, place);
  }
  if (!focused || focused === document.activeElement) return;
  const key = focused.dataset.key;
  const again = key ? parent.querySelector(`[data-key="${CSS.escape(key)}"]`) : null;
  (parent.contains(focused) ? focused : again)?.focus({ preventScroll: true });
}

/** A span of time that is only estimated, to two units at most. */
export function roughly(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return hours + SPACE + "h " + minutes + SPACE + "min";
  if (minutes > 0) return minutes + SPACE + "min " + Math.round(seconds % 60) + SPACE + "s";
  return Math.round(seconds) + SPACE + "s";
}

export function dollars(amount) {
  return amount > 0 && amount < 0.01 ? "<$0.01" : "$" + amount.toFixed(2);
}

export function count(number, what) {
  return number + SPACE + what + (number === 1 ? "" : "s");
}

/** Whether a grid in this state has come to its end. */
export function hasEnded(state) {
  return ["finished", "cancelled", "deleted"].includes(state);
}

/** How many cells are done of all, as a bar and in words. */
export function cellsDone(cells) {
  const all = Object.values(cells).reduce((sum, number) => sum + number, 0);
  const done = cells.done ?? 0;
  const others = ["rendering", "leased", "queued", "failed", "cancelled"].filter((word) => cells[word]);
  const label = done + " of " + all + " done";
  return {
    bar: element("progress", { max: Math.max(1, all), value: done, "aria-label": label }),
    label,
    others: others.map((word) => cells[word] + " " + word).join(", "),
  };
}
