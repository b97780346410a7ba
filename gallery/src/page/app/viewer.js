// One picture, large: zoomed and moved, compared with its photo or painting, and told about.

const ZOOM_STEP = 1.25;
/** Screen pixels for a pixel of a picture, at most. */
const ZOOM_PIXELS_MAX = 4;

class Viewer {
  /**
   * `moved` is told the crossing and the variant that are shown, or null when nothing is any more; `mark` the crossing that
   * is to become a favourite or none; `isMarked` answers whether a place is one.
   */
  constructor({ moved, mark, isMarked }) {
    this.moved = moved;
    this.mark = mark;
    this.isMarked = isMarked;
    this.compared = null;
    this.pointers = new Map();
    this.build();
  }

  build() {
    this.title = element("h2", { id: "viewer-title", "aria-live": "polite" });
    this.favourite = button("☆", { class: "icon", "aria-label": "Favourite" }, () => this.toggleFavourite(), "f");
    this.zoomed = element("output", { class: "zoomed", "aria-live": "off" });
    this.about = button("Details", { "aria-expanded": "true", "aria-controls": "viewer-about" }, () => this.toggleAbout(), "i");
    this.comparing = element("select", { "aria-label": "Compare with" });
    this.comparing.addEventListener("change", () => this.compare(this.comparing.value || null));
    this.switches = element("div", { class: "switches" });
    const tools = element(
      "div",
      { class: "bar", role: "toolbar", "aria-label": "Picture" },
      this.switches,
      this.comparing,
      button("−", { class: "icon", "aria-label": "Smaller" }, () => this.zoomBy(1 / ZOOM_STEP), "-"),
      this.zoomed,
      button("+", { class: "icon", "aria-label": "Larger" }, () => this.zoomBy(ZOOM_STEP), "+"),
      button("Fit", {}, () => this.fit(), "0"),
      button("1 : 1", {}, () => this.pixelByPixel(), "1"),
      this.favourite,
      this.about,
      button("✕", { class: "icon", "aria-label": "Close" }, () => this.dialog.close(), "Escape"),
    );
    this.picture = element("img", { class: "shown", draggable: "false" });
    this.other = element("img", { class: "other", draggable: "false", hidden: true });
    this.canvas = element("div", { class: "canvas" }, this.picture, this.other);
    this.slider = element("input", {
      type: "range", min: 0, max: 100, step: 1, value: 50, class: "slider", hidden: true, "aria-label": "How much of each",
    });
    this.slider.addEventListener("input", () => this.slide());
    this.divider = element("div", { class: "divider", "aria-hidden": "true", hidden: true });
    this.missing = element("div", { class: "missing", hidden: true });
    const step = (label, symbol, photo, artist) =>
      button(symbol, { class: "icon step " + label.toLowerCase(), "aria-label": label }, () => this.step(photo, artist));
    this.stage = element(
      "div",
      { class: "stage", tabindex: 0, role: "group", "aria-label": "Picture; arrow keys go to its neighbours" },
      this.canvas,
      this.missing,
      this.divider,
      step("Left", "‹", 0, -1),
      step("Right", "›", 0, 1),
      step("Up", "⌃", -1, 0),
      step("Down", "⌄", 1, 0),
      this.slider,
    );
    this.panel = element("aside", { id: "viewer-about", "aria-label": "Details" });
    this.dialog = element(
      "dialog",
      { class: "viewer", "aria-labelledby": "viewer-title" },
      element("div", { class: "top" }, this.title, tools),
      element("div", { class: "body" }, this.stage, this.panel),
    );
    document.body.append(this.dialog);
    this.dialog.addEventListener("close", () => this.moved(null));
    this.dialog.addEventListener("keydown", (event) => this.pressed(event));
    this.stage.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.pointerDown(event));
    this.stage.addEventListener("pointermove", (event) => this.pointerMoved(event));
    for (const name of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    this.stage.addEventListener("dblclick", (event) => {
      if (event.target.closest("button, input")) return;
      if (this.zoom > 1.01) this.fit();
      else this.zoomTo(this.zoomOfPixels(1), event.clientX, event.clientY);
    });
    new ResizeObserver(() => this.dialog.open && this.layOut()).observe(this.stage);
    this.picture.addEventListener("load", () => this.picture.classList.remove("waits"));
    if (innerWidth < 900) this.toggleAbout();
  }

  /** Shows what is at a crossing. */
  show(gallery, photo, artist, variant) {
    const isElsewhere = photo !== this.photo || artist !== this.artist;
    Object.assign(this, { gallery, photo, artist, variant });
    this.cell = gallery.find(photo, artist, variant);
    const title = gallery.titleOf(photo, artist);
    this.title.replaceChildren(bdi(title));
    this.showPicture(title);
    this.showSwitches();
    this.showAbout();
    this.offerComparisons();
    this.showFavourite();
    if (!this.dialog.open) {
      this.dialog.showModal();
      this.stage.focus();
    }
    if (isElsewhere || this.zoom === undefined) this.zoom = 1;
    this.layOut();
    this.fetchNeighbours();
  }

  /** What is to be seen: the cell's picture; of a photo or an artist alone, the original if there is no reconstruction. */
  subject() {
    if (this.cell?.picture) return { ...this.cell.picture, src: this.cell.picture.path };
    if (this.photo !== NONE && this.artist !== NONE) return null;
    const original = this.originals().at(0);
    return original ? { ...original, src: original.path, thumbnail: original.path } : null;
  }

  /** The photo and the painting of what is shown, as far as they are there. */
  originals() {
    const of = (what, entry) => (entry?.original ? [{ what, path: entry.original, width: entry.width, height: entry.height }] : []);
    return [...of("photo", this.gallery.photos[this.photo]), ...of("painting", this.gallery.artists[this.artist])];
  }

  showPicture(title) {
    const subject = this.subject();
    this.shown = subject;
    this.canvas.hidden = subject === null;
    this.missing.hidden = subject !== null;
    if (!subject) {
      const state = this.cell?.state ?? "no such cell";
      this.missing.replaceChildren(
        element("b", {}, state),
        this.cell?.failure ? element("p", {}, count(this.cell.attempts, "attempt") + ": " + this.cell.failure) : "",
      );
      return;
    }
    this.picture.alt = title;
    // The thumbnail is there already; the picture covers it when it has come.
    this.canvas.style.backgroundImage = "url(" + JSON.stringify(subject.thumbnail) + ")";
    if (this.picture.getAttribute("src") !== subject.src) {
      this.picture.classList.add("waits");
      this.picture.src = subject.src;
    }
  }

  showSwitches() {
    const axes = this.gallery.axes();
    refill(
      this.switches,
      ...(axes.length === 0
        ? []
        : variantSwitches(axes, this.variant, (variant) => this.moved({ photo: this.photo, artist: this.artist, variant }))),
    );
  }

  offerComparisons() {
    const offered = this.cell?.picture ? this.originals().map((original) => original.what) : [];
    const options = offered.map((what) => element("option", { value: what }, "Compare with the " + what));
    this.comparing.replaceChildren(element("option", { value: "" }, "Compare with …"), ...options);
    this.comparing.disabled = offered.length === 0;
    this.compare(offered.includes(this.compared) ? this.compared : null, true);
  }

  /** Lays the photo or the painting over the picture, as far as the slider says. */
  compare(what, isForNow = false) {
    if (!isForNow) this.compared = what;
    const original = this.originals().find((one) => one.what === what);
    this.comparing.value = original ? what : "";
    for (const part of [this.other, this.slider, this.divider]) part.hidden = !original;
    if (!original) return;
    this.other.src = original.path;
    this.other.alt = "The " + what;
    this.slide();
  }

  slide() {
    const share = Number(this.slider.value);
    this.other.style.clipPath = "inset(0 " + (100 - share) + "% 0 0)";
    this.slider.setAttribute("aria-valuetext", share + " % " + this.comparing.value);
    const [box, stage] = [this.canvas.getBoundingClientRect(), this.stage.getBoundingClientRect()];
    this.divider.style.left = box.left - stage.left + (box.width * share) / 100 + "px";
  }

  showFavourite() {
    const isCell = this.cell?.picture && this.photo !== NONE && this.artist !== NONE;
    this.favourite.disabled = !isCell;
    const isMarked = isCell && this.isMarked(this.cell.place);
    this.favourite.textContent = isMarked ? "★" : "☆";
    this.favourite.setAttribute("aria-pressed", String(Boolean(isMarked)));
  }

  toggleFavourite() {
    if (this.favourite.disabled) return;
    this.mark(this.photo, this.artist);
    this.showFavourite();
  }

  toggleAbout() {
    this.panel.hidden = !this.panel.hidden;
    this.about.setAttribute("aria-expanded", String(!this.panel.hidden));
  }

  showAbout() {
    const facts = element("dl");
    const fact = (name, value) => value !== null && facts.append(element("dt", {}, name), element("dd", {}, value));
    const { cell, gallery } = this;
    const parts = [];
    if (cell) {
      const { picture } = cell;
      if (gallery.variants.length > 1) fact("Variant", gallery.variants[this.variant].name || String(this.variant + 1));
      fact("State", cell.state + (cell.attempts > 1 ? ", " + count(cell.attempts, "attempt") : ""));
      if (picture) {
        fact("Size", picture.width + " × " + picture.height + ", " + fileSize(picture.bytes));
        fact("Time", spanOfTime(picture.seconds));
        fact("Evaluations", String(picture.evaluations));
        fact("Loss", rounded(picture.loss));
        fact("Cost", picture.cost === null || picture.cost === undefined ? null : dollars(picture.cost));
        fact("Painted on", picture.device);
        fact("By", picture.node);
        fact("With", picture.network);
      }
      parts.push(facts);
      const plot = lossPlot(picture?.curve ?? []);
      if (plot) parts.push(plot);
      const settings = gallery.settingsOf(cell);
      const list = element("dl", { class: "settings" });
      for (const [key, value] of Object.entries(settings)) {
        if (value !== null) list.append(element("dt", {}, key), element("dd", {}, settingText(value)));
      }
      const copied = element("span", { role: "status" });
      const copying = async () => {
        copied.textContent = (await copy(toml(settings))) ? "Copied" : "This browser does not allow it";
      };
      parts.push(
        element("p", { class: "row-of-buttons" }, button("Copy the settings as TOML", {}, copying), copied),
        element("details", {}, element("summary", {}, "Render settings"), list),
      );
      if (picture) parts.push(element("p", {}, element("a", { href: picture.path, target: "_blank" }, "The file itself")));
    } else {
      const original = this.originals().at(0);
      if (original) fact("Size", original.width + " × " + original.height);
      parts.push(facts);
    }
    const wasOpen = this.panel.querySelector("details")?.open;
    this.panel.replaceChildren(...parts);
    if (wasOpen) this.panel.querySelector("details")?.setAttribute("open", "");
  }

  /** Goes to a neighbour, if there is one. */
  step(down, across) {
    const photo = this.photo + down;
    const artist = this.artist + across;
    if (photo < NONE || photo >= this.gallery.photos.length) return;
    if (artist < NONE || artist >= this.gallery.artists.length) return;
    if (photo === NONE && artist === NONE) return;
    this.moved({ photo, artist, variant: this.variant });
  }

  /** The pictures beside this one, so that they are there when they are gone to. */
  fetchNeighbours() {
    for (const [down, across] of [[0, 1], [0, -1], [1, 0], [-1, 0]]) {
      const path = this.gallery.find(this.photo + down, this.artist + across, this.variant)?.picture?.path;
      if (path) new Image().src = path;
    }
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event;
    const isInField = target === this.slider || target.matches("select");
    const act = {
      ArrowUp: () => this.step(-1, 0),
      ArrowDown: () => this.step(1, 0),
      ArrowLeft: () => this.step(0, -1),
      ArrowRight: () => this.step(0, 1),
      "+": () => this.zoomBy(ZOOM_STEP),
      "=": () => this.zoomBy(ZOOM_STEP),
      "-": () => this.zoomBy(1 / ZOOM_STEP),
      0: () => this.fit(),
      1: () => this.pixelByPixel(),
      c: () => this.compareNext(),
      f: () => this.toggleFavourite(),
      i: () => this.toggleAbout(),
      "[": () => this.stepVariant(-1),
      "]": () => this.stepVariant(1),
    }[event.key];
    if (!act || (isInField && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    act();
  }

  compareNext() {
    const offered = ["", ...[...this.comparing.options].slice(1).map((option) => option.value)];
    const next = offered[(offered.indexOf(this.comparing.value) + 1) % offered.length];
    this.compare(next || null);
  }

  stepVariant(by) {
    const variant = this.variant + by;
    if (variant < 0 || variant >= this.gallery.variants.length) return;
    this.moved({ photo: this.photo, artist: this.artist, variant });
  }

  // How large, and where.

  /** The size at which the whole picture is to be seen. */
  fitted() {
    const { clientWidth, clientHeight } = this.stage;
    const { width, height } = this.shown;
    const scale = Math.min(clientWidth / width, clientHeight / height, ZOOM_PIXELS_MAX);
    return { width: width * scale, height: height * scale, scale };
  }

  zoomOfPixels(pixels) {
    return pixels / this.fitted().scale;
  }

  fit() {
    this.zoom = 1;
    this.x = this.y = 0;
    this.layOut();
  }

  pixelByPixel() {
    if (!this.shown) return;
    this.zoomTo(this.zoomOfPixels(1 / devicePixelRatio));
  }

  zoomBy(factor) {
    if (this.shown) this.zoomTo(this.zoom * factor);
  }

  /** Zooms so that what is at a point of the screen stays there: in the middle, if none is given. */
  zoomTo(zoom, clientX = null, clientY = null) {
    if (!this.shown) return;
    const stage = this.stage.getBoundingClientRect();
    const from = { x: (clientX ?? stage.left + stage.width / 2) - stage.left - stage.width / 2,
      y: (clientY ?? stage.top + stage.height / 2) - stage.top - stage.height / 2 };
    const most = Math.max(1, this.zoomOfPixels(ZOOM_PIXELS_MAX));
    const next = Math.min(most, Math.max(Math.min(1, this.zoomOfPixels(1)), zoom));
    const factor = next / this.zoom;
    this.x = from.x - (from.x - this.x) * factor;
    this.y = from.y - (from.y - this.y) * factor;
    this.zoom = next;
    this.layOut();
  }

  layOut() {
    if (!this.shown) return;
    const { width, height, scale } = this.fitted();
    if (this.zoom <= 1) this.x = this.y = 0;
    // No edge of the picture leaves the middle of the stage.
    const bound = (offset, side) => Math.min((side * this.zoom) / 2, Math.max((-side * this.zoom) / 2, offset));
    this.x = bound(this.x, width);
    this.y = bound(this.y, height);
    Object.assign(this.canvas.style, {
      width: width + "px",
      height: height + "px",
      transform: `translate(-50%, -50%) translate(${this.x}px, ${this.y}px) scale(${this.zoom})`,
    });
    // Whoever looks closer than the picture has pixels wants to see them.
    this.canvas.classList.toggle("coarse", this.zoom > 1.01 && this.zoom * scale > 2);
    this.zoomed.textContent = Math.round(100 * this.zoom * scale * devicePixelRatio) + " %";
    if (!this.divider.hidden) this.slide();
  }

  wheeled(event) {
    if (!this.shown) return;
    event.preventDefault();
    this.zoomTo(this.zoom * Math.exp(-event.deltaY / (event.deltaMode === 0 ? 400 : 20)), event.clientX, event.clientY);
  }

  pointerDown(event) {
    if (event.target.closest("button, input")) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.stage.setPointerCapture(event.pointerId);
  }

  pointerMoved(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.shown) return;
    const now = { x: event.clientX, y: event.clientY };
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    if (others.length === 0) {
      this.x += now.x - before.x;
      this.y += now.y - before.y;
      this.layOut();
    } else {
      // Two fingers: what is between them stays there.
      const [, other] = others[0];
      const apart = (point) => Math.hypot(point.x - other.x, point.y - other.y);
      this.zoomTo((this.zoom * apart(now)) / Math.max(1, apart(before)), (now.x + other.x) / 2, (now.y + other.y) / 2);
    }
    this.pointers.set(event.pointerId, now);
  }
}

/**
 * The loss over the evaluations, or null where too few are known; its axis is logarithmic, because it falls by orders of
 * magnitude.
 */
function lossPlot(curve) {
  const [wide, high, pad] = [240, 72, 4];
  const known = curve.filter(([, loss]) => Number.isFinite(loss) && loss > 0);
  if (known.length < 2) return null;
  const logs = known.map(([, loss]) => Math.log10(loss));
  const [least, most] = [Math.min(...logs), Math.max(...logs)];
  const last = known.at(-1)[0];
  const points = known.map(([evaluation], index) => {
    const x = pad + ((wide - 2 * pad) * evaluation) / Math.max(1, last);
    const y = pad + ((high - 2 * pad) * (most - logs[index])) / Math.max(1e-9, most - least);
    return x.toFixed(1) + "," + y.toFixed(1);
  });
  const told = "Loss from " + rounded(known[0][1]) + " to " + rounded(known.at(-1)[1]) + " over " + count(last, "evaluation");
  return element(
    "figure",
    { class: "plot" },
    drawing(
      "svg",
      { viewBox: "0 0 " + wide + " " + high, role: "img", "aria-label": told },
      drawing("polyline", { points: points.join(" "), fill: "none", "vector-effect": "non-scaling-stroke" }),
    ),
    element("figcaption", {}, told + ", logarithmic"),
  );
}
