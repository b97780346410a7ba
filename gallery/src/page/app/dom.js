// Elements. Text is always set as text, so that no name can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with these attributes and children; `class` is one, what is null is left out. */
function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function drawing(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A name that people gave: it may be of either direction, and must not turn what stands beside it. */
function bdi(text) {
  return element("bdi", {}, text);
}

/** A button; `key` is the key that does the same. */
function button(label, attributes, act, key = null) {
  const made = element("button", { type: "button", ...attributes }, label);
  if (key) {
    made.setAttribute("aria-keyshortcuts", key);
    made.title = (attributes["aria-label"] ?? label) + " (" + key + ")";
  }
  made.addEventListener("click", act);
  return made;
}

/** Puts other children into an element; what has the focus in it keeps its place among those that can have it. */
function refill(parent, ...children) {
  const focusable = () => [...parent.querySelectorAll("button, select, input")];
  const position = focusable().indexOf(document.activeElement);
  parent.replaceChildren(...children);
  if (position >= 0) focusable()[position]?.focus();
}

/** Copies a text; whether that succeeded. A page from a plain web server may not use the clipboard directly. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = element("textarea", { class: "unseen", "aria-hidden": "true" });
    field.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    return copied;
  }
}
