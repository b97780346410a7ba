// Photos and paintings that were dropped or chosen: what they are called, how they look, and their way to the coordinator.

import { bdi, button, element } from "./dom.js";
import { post } from "./session.js";

/** Files that are sent at once. */
const UPLOADS_MAX = 3;
/** Files that are taken in one drop, so that a folder dropped by mistake does not keep a page busy for hours. */
const FILES_MAX = 500;
/** What a file name ends with that is not its name. */
const EXTENSION = /\.[^.\s]{1,5}$/;
/** What is taken from a folder; what was named one by one is sent whatever it is. */
const PICTURE = /\.(jpe?g|png|webp|tiff?)$/i;

const waiting = [];
let sent = 0;

/** Sends what waits, some at once. */
function next() {
  while (sent < UPLOADS_MAX && waiting.length > 0) {
    const picture = waiting.shift();
    sent += 1;
    picture.send().finally(() => {
      sent -= 1;
      next();
    });
  }
}

/** A file on its way to the coordinator, and then held by it. */
class Picture {
  constructor(file, changed) {
    this.file = file;
    this.changed = changed;
    this.sha256 = null;
    this.giveUp = new AbortController();
    this.url = URL.createObjectURL(file);
    const image = element("img", { src: this.url, alt: "", decoding: "async" });
    // There are pictures that the coordinator can read and a browser cannot.
    image.addEventListener("error", () => image.remove());
    this.told = element("small", {});
    this.again = button("Send again", { hidden: true, "aria-label": "Send again: " + file.name }, () => this.wait());
    this.root = element("div", { class: "picture" }, element("div", { class: "frame" }, image));
    this.words = element("div", {}, this.told, this.again);
    this.wait();
  }

  wait() {
    this.become("waits", "waits to be sent");
    waiting.push(this);
    next();
  }

  become(state, text) {
    this.state = state;
    this.again.hidden = true;
    this.told.className = state === "refused" ? "bad" : "";
    this.told.replaceChildren(text);
    this.changed();
  }

  async send() {
    if (this.giveUp.signal.aborted) return;
    this.become("sends", "is being sent …");
    try {
      const held = await post("/api/inputs", this.file, this.giveUp.signal);
      this.sha256 = held.sha256;
      this.become("held", held.width + " × " + held.height);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.become("refused", bdi(error.message));
      this.again.hidden = !error.mayPass;
    }
  }

  remove() {
    this.giveUp.abort();
    if (waiting.includes(this)) waiting.splice(waiting.indexOf(this), 1);
    URL.revokeObjectURL(this.url);
  }
}

/** What a file or a folder is called: without its extension, and with spaces between words. */
function spoken(name) {
  return name.replace(EXTENSION, "").replace(/[_-]+/g, " ").trim() || name;
}

/** The files that were dropped, each with the path of the folder in which it lay, or with none. */
async function dropped(transfer) {
  // Entries can only be asked for while the event lasts.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (entries.some((entry) => entry === null)) return [...transfer.files].map((file) => ({ file, folder: "" }));
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

async function walk(entry, folder, found) {
  if (found.length > FILES_MAX) return;
  if (entry.isFile) {
    if (folder && !PICTURE.test(entry.name)) return;
    found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), folder });
    return;
  }
  const reader = entry.createReader();
  const inside = [];
  // It gives some at a time, and none when there are no more.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0 || inside.length > FILES_MAX) break;
    inside.push(...some);
  }
  inside.sort((left, right) => left.name.localeCompare(right.name));
  for (const one of inside) await walk(one, entry.fullPath, found);
}

/** The files that were chosen, in the same manner. */
function chosen(input) {
  const files = [...input.files].map((file) => ({ file, folder: file.webkitRelativePath.replace(/\/?[^/]*$/, "") }));
  return files.filter(({ file, folder }) => folder === "" || PICTURE.test(file.name));
}

/** A place to drop files in, and the list of what was: photos, or artists with their paintings. */
export class Zone {
  /** `what` is one of them in a word; `changed` is called after each change, `passed` is told what was not taken. */
  constructor(root, { what, areArtists, changed, passed }) {
    Object.assign(this, { root, what, areArtists, changed, passed });
    this.list = root.querySelector(".inputs");
    this.entries = [];
    for (const input of root.querySelectorAll("input[type=file]")) {
      input.addEventListener("change", () => {
        this.add(chosen(input));
        // So that the same file can be chosen again after it was removed.
        input.value = "";
      });
    }
    root.addEventListener("dragover", (event) => {
      event.preventDefault();
      root.classList.add("over");
    });
    root.addEventListener("dragleave", (event) => {
      if (!root.contains(event.relatedTarget)) root.classList.remove("over");
    });
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      root.classList.remove("over");
      dropped(event.dataTransfer).then(
        (files) => this.add(files),
        (error) => this.passed("It cannot be read: " + error.message),
      );
    });
  }

  add(files) {
    const taken = files.slice(0, FILES_MAX);
    const isTooMuch = files.length > FILES_MAX;
    if (isTooMuch) this.passed("Only the first " + FILES_MAX + " files of these were taken.");
    else this.passed(files.length === 0 ? "There is no picture in it." : "");
    const folders = new Map();
    for (const { file, folder } of taken) {
      if (!this.areArtists || folder === "") this.enter(spoken(file.name), [file]);
      else folders.set(folder, [...(folders.get(folder) ?? []), file]);
    }
    for (const [folder, paintings] of folders) this.enter(spoken(folder.split("/").at(-1)), paintings);
    this.changed();
  }

  /** A name that no other has yet. */
  free(name) {
    const names = new Set(this.entries.map((entry) => entry.name.value));
    let tried = name;
    for (let number = 2; names.has(tried); number += 1) tried = name + " " + number;
    return tried;
  }

  enter(name, files) {
    const entry = {};
    const label = "Name of the " + this.what;
    entry.name = element("input", { type: "text", maxlength: 200, autocomplete: "off", "aria-label": label });
    entry.name.value = this.free(name);
    entry.name.addEventListener("input", this.changed);
    entry.pictures = files.map((file) => new Picture(file, this.changed));
    const isOne = entry.pictures.length === 1;
    const remove = button("Remove", {}, () => this.remove(entry));
    const nameIt = () => remove.setAttribute("aria-label", "Remove: " + entry.name.value);
    entry.name.addEventListener("input", nameIt);
    nameIt();
    if (!isOne) {
      for (const picture of entry.pictures) {
        const label = "Remove: " + picture.file.name;
        picture.words.append(button("Remove", { "aria-label": label }, () => this.removePicture(entry, picture)));
        picture.root.append(picture.words);
      }
    }
    const own = element("div", { class: "named" }, entry.name, isOne ? entry.pictures[0].words : null, remove);
    const pictures = entry.pictures.map((picture) => picture.root);
    entry.root = isOne
      ? element("li", {}, ...pictures, own)
      : element("li", { class: "several" }, own, element("div", { class: "pictures" }, ...pictures));
    this.entries.push(entry);
    this.list.append(entry.root);
  }

  removePicture(entry, picture) {
    if (entry.pictures.length === 1) {
      this.remove(entry);
      return;
    }
    picture.remove();
    picture.root.remove();
    entry.pictures = entry.pictures.filter((other) => other !== picture);
    entry.name.focus();
    this.changed();
  }

  remove(entry) {
    const place = this.entries.indexOf(entry);
    entry.pictures.forEach((picture) => picture.remove());
    entry.root.remove();
    this.entries.splice(place, 1);
    // The focus goes to what has come into its place.
    const near = this.entries[place] ?? this.entries[place - 1];
    (near ? near.name : this.root.querySelector("input[type=file]")).focus();
    this.changed();
  }

  /** What the coordinator holds of it: names, each with the pictures under it. */
  held() {
    const all = this.entries.map((entry) => ({
      name: entry.name.value.trim(),
      pictures: entry.pictures.flatMap(({ state, sha256 }) => (state === "held" ? [sha256] : [])),
    }));
    return all.filter(({ pictures }) => pictures.length > 0);
  }

  /** How many pictures are on their way, or were refused. */
  counted(...states) {
    return this.entries.flatMap((entry) => entry.pictures).filter(({ state }) => states.includes(state)).length;
  }
}
