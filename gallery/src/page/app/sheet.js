// The sheet: photos down, artists across. Only what is in sight is in the document, so that a grid of any size scrolls
// like a small one.

/** Between pictures, pixels. */
const GAP = 10;
/** Rows and columns are kept this far beyond the edge of the screen, pixels. */
const BEYOND = 400;
/** Heights of a row for the width of its pictures. */
const RATIO_MIN = 0.4;
const RATIO_MAX = 1.7;

class Sheet {
  /**
   * `open` is told the crossing that is to be shown large, `mark` the one that is to become a favourite or none; `isMarked`
   * answers whether a place is one.
   */
  constructor(root, { open, mark, isMarked }) {
    this.root = root;
    this.open = open;
    this.mark = mark;
    this.isMarked = isMarked;
    this.current = { photo: 0, artist: 0 };
    this.rows = new Map();
    this.heads = element("div", { class: "heads", role: "row", "aria-rowindex": 1 });
    this.corner = element("div", { class: "corner", role: "gridcell", "aria-colindex": 1 });
    this.heads.append(this.corner);
    this.columns = new Map();
    root.append(this.heads);
    root.addEventListener("keydown", (event) => this.pressed(event));
    root.addEventListener("click", (event) => this.clicked(event));
    root.addEventListener("focusin", (event) => this.focused(event));
    const later = () => {
      this.frame ??= requestAnimationFrame(() => {
        this.frame = null;
        this.fill();
      });
    };
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", () => {
      this.measure();
      later();
    });
  }

  /** Shows a gallery, or what has become of it. */
  show(gallery, variant) {
    this.gallery = gallery;
    this.variant = variant;
    this.root.setAttribute("aria-rowcount", gallery.photos.length + 1);
    this.root.setAttribute("aria-colcount", gallery.artists.length + 1);
    this.clear();
    this.measure();
    this.fill();
  }

  /** Makes pictures this wide, pixels, and leaves what is in the middle of the screen there. */
  resize(width) {
    const middle = this.inTheMiddle();
    this.width = width;
    this.clear();
    this.measure();
    scrollTo(scrollX, scrollY + this.offsetOf(middle) - innerHeight / 2);
    this.fill();
  }

  clear() {
    for (const row of this.rows.values()) row.element.remove();
    for (const head of this.columns.values()) head.remove();
    this.rows.clear();
    this.columns.clear();
  }

  /** Where everything goes. */
  measure() {
    const narrow = document.documentElement.clientWidth;
    this.width ??= Math.round(Math.min(240, Math.max(120, narrow * 0.16)));
    this.edge = Math.min(40, Math.max(12, narrow * 0.03));
    this.side = Math.round(Math.min(176, Math.max(72, Math.min(this.width, narrow * 0.2))));
    this.top = Math.round(Math.min(128, this.width * 0.7)) + 52;
    this.tops = [this.top + GAP];
    for (const { width, height } of this.gallery.photos) {
      const ratio = Math.min(RATIO_MAX, Math.max(RATIO_MIN, height / width));
      this.tops.push(this.tops.at(-1) + Math.round(Math.max(this.width * ratio, 56)) + GAP);
    }
    this.left = Math.round(this.edge) + this.side + GAP;
    const across = this.left + this.gallery.artists.length * (this.width + GAP) + this.edge;
    this.root.style.height = this.tops.at(-1) + "px";
    this.root.style.width = Math.round(across) + "px";
    this.root.style.setProperty("--picture", this.width + "px");
    this.heads.style.height = this.top + "px";
    this.corner.style.width = this.left - GAP + "px";
  }

  /** The photo in the middle of the screen, and how far down in its row that is, of 1. */
  inTheMiddle() {
    const y = innerHeight / 2 - this.root.getBoundingClientRect().top;
    const photo = Math.min(this.gallery.photos.length - 1, Math.max(0, this.photoAt(y)));
    const height = this.tops[photo + 1] - this.tops[photo];
    return { photo, share: (y - this.tops[photo]) / height };
  }

  offsetOf({ photo, share }) {
    const height = this.tops[photo + 1] - this.tops[photo];
    return this.root.getBoundingClientRect().top + this.tops[photo] + share * height;
  }

  /** The photo whose row is at a height: the last one that begins above it. */
  photoAt(y) {
    let [low, high] = [0, this.tops.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.tops[middle] <= y) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Brings into the document what is in sight, and takes out what is not, but for what has the focus. */
  fill() {
    const place = this.root.getBoundingClientRect();
    const pitch = this.width + GAP;
    const last = this.gallery.artists.length - 1;
    const column = (x) => Math.min(last, Math.max(0, Math.floor((x - this.left) / pitch)));
    const [from, to] = [column(-place.left - BEYOND), column(innerWidth - place.left + BEYOND)];
    const lastPhoto = this.gallery.photos.length - 1;
    const first = this.photoAt(-place.top - BEYOND);
    const final = Math.min(lastPhoto, this.photoAt(innerHeight - place.top + BEYOND));
    const { photo: held, artist: heldArtist } = this.current;
    const inRows = (photo) => (photo >= first && photo <= final) || photo === held;
    const inColumns = (artist) => (artist >= from && artist <= to) || artist === heldArtist;

    for (const [artist, head] of this.columns) {
      if (!inColumns(artist)) {
        head.remove();
        this.columns.delete(artist);
      }
    }
    for (const [photo, row] of this.rows) {
      if (!inRows(photo)) {
        row.element.remove();
        this.rows.delete(photo);
        continue;
      }
      for (const [artist, cell] of row.cells) {
        if (!inColumns(artist)) {
          cell.remove();
          row.cells.delete(artist);
        }
      }
    }
    const artists = [];
    for (let artist = from; artist <= to; artist += 1) artists.push(artist);
    if (heldArtist >= 0 && (heldArtist < from || heldArtist > to)) artists.push(heldArtist);
    for (const artist of artists) this.column(artist);
    for (let photo = first; photo <= final; photo += 1) this.row(photo, artists);
    if (held >= 0 && (held < first || held > final)) this.row(held, artists);
  }

  column(artist) {
    if (this.columns.has(artist)) return;
    const { name, original, paintings, settings } = this.gallery.artists[artist];
    const head = element(
      "div",
      { class: "head", role: "columnheader", "aria-colindex": artist + 2 },
      this.opener(NONE, artist, original, "A painting by " + name),
      element("span", { class: "name", title: name }, bdi(name)),
      this.more(NONE, artist, [
        paintings > 1 ? count(paintings, "painting") : null,
        ...Object.entries(settings).map(([key, value]) => key + " = " + settingText(value)),
      ]),
    );
    head.style.left = this.left + artist * (this.width + GAP) + "px";
    head.style.width = this.width + "px";
    this.columns.set(artist, head);
    this.heads.append(head);
  }

  row(photo, artists) {
    let row = this.rows.get(photo);
    if (!row) {
      const { name, original } = this.gallery.photos[photo];
      const head = element(
        "div",
        { class: "head", role: "rowheader", "aria-colindex": 1 },
        this.opener(photo, NONE, original, "The photo " + name),
        element("span", { class: "name", title: name }, bdi(name)),
        this.more(photo, NONE, []),
      );
      head.style.width = this.left - GAP + "px";
      row = { element: element("div", { class: "row", role: "row", "aria-rowindex": photo + 2 }, head), cells: new Map() };
      row.element.style.top = this.tops[photo] + "px";
      row.element.style.height = this.tops[photo + 1] - this.tops[photo] - GAP + "px";
      this.rows.set(photo, row);
      const after = [...this.rows.keys()].filter((other) => other > photo).sort((left, right) => left - right)[0];
      this.root.insertBefore(row.element, after === undefined ? null : this.rows.get(after).element);
    }
    for (const artist of artists) {
      if (row.cells.has(artist)) continue;
      const cell = element("div", { class: "cell", role: "gridcell", "aria-colindex": artist + 2 });
      cell.style.left = this.left + artist * (this.width + GAP) + "px";
      cell.style.width = this.width + "px";
      cell.append(this.crossing(photo, artist));
      row.cells.set(artist, cell);
      row.element.append(cell);
    }
  }

  /** What stands in a cell: its picture, or what has become of it. */
  crossing(photo, artist) {
    const cell = this.gallery.find(photo, artist, this.variant);
    const title = this.gallery.titleOf(photo, artist);
    if (!cell) return element("span", { class: "state" }, "no such cell");
    if (!cell.picture) {
      return element(
        "a",
        this.target(photo, artist, { class: "state " + cell.state, href: "#open=" + photo + "," + artist, title: cell.failure }),
        element("b", {}, cell.state),
        cell.failure ? element("span", {}, cell.failure) : null,
        element("span", { class: "unseen" }, title),
      );
    }
    const isMarked = this.isMarked(cell.place);
    return element(
      "a",
      this.target(photo, artist, { class: "picture" + (isMarked ? " favourite" : ""), href: cell.picture.path }),
      element("img", {
        src: cell.picture.thumbnail,
        srcset: sources(cell.picture),
        sizes: this.width + "px",
        alt: title + (isMarked ? ", a favourite" : ""),
        decoding: "async",
      }),
      element(
        "span",
        { class: "note", "aria-hidden": "true" },
        spanOfTime(cell.picture.seconds) + " · loss " + rounded(cell.picture.loss),
      ),
    );
  }

  /** The original over a column or beside a row, with what the network keeps of it. */
  opener(photo, artist, original, alt) {
    const kept = this.gallery.find(photo, artist, this.variant)?.picture;
    const pictures = element("a", this.target(photo, artist, { class: "originals", href: kept?.path ?? original ?? "#" }));
    if (original) pictures.append(element("img", { src: original, alt, decoding: "async" }));
    if (kept) {
      const what = artist === NONE ? "content" : "style";
      const name = this.gallery.titleOf(photo, artist);
      pictures.append(
        element("img", { src: kept.thumbnail, alt: "What the " + what + " layers keep of " + name, decoding: "async" }),
      );
    }
    if (!original && !kept) pictures.append(element("span", { class: "unseen" }, alt));
    return pictures;
  }

  /** Small print under a name: lines, and a reconstruction that has no picture. */
  more(photo, artist, lines) {
    const kept = this.gallery.find(photo, artist, this.variant);
    const missing = kept && !kept.picture ? "reconstruction: " + kept.state : null;
    const said = [...lines, missing].filter((line) => line !== null);
    return said.length > 0 ? element("span", { class: "more", title: kept?.failure }, said.join(", ")) : null;
  }

  /** Attributes of what can have the focus; one at a time is in the tab order. */
  target(photo, artist, attributes) {
    const isCurrent = photo === this.current.photo && artist === this.current.artist;
    return { "data-photo": photo, "data-artist": artist, tabindex: isCurrent ? 0 : -1, ...attributes };
  }

  targetAt(photo, artist) {
    return this.root.querySelector(`[data-photo="${photo}"][data-artist="${artist}"]`);
  }

  /** Shows a cell anew. */
  refresh(photo, artist) {
    const cell = this.rows.get(photo)?.cells.get(artist);
    if (!cell) return;
    const hasFocus = cell.contains(document.activeElement);
    cell.replaceChildren(this.crossing(photo, artist));
    if (hasFocus) cell.firstChild.focus({ preventScroll: true });
  }

  /** Gives a crossing the focus, and brings it into sight. */
  focus(photo, artist) {
    this.targetAt(this.current.photo, this.current.artist)?.setAttribute("tabindex", -1);
    this.current = { photo, artist };
    this.fill();
    const target = this.targetAt(photo, artist);
    if (!target) return;
    target.setAttribute("tabindex", 0);
    target.focus({ preventScroll: true });
    this.bringIntoSight(photo, artist);
  }

  bringIntoSight(photo, artist) {
    const place = this.root.getBoundingClientRect();
    const shift = (low, high, from, to) => (low < from ? low - from : high > to ? Math.min(high - to, low - from) : 0);
    const y = photo === NONE ? 0 : shift(
      place.top + this.tops[photo], place.top + this.tops[photo + 1], this.top + GAP, innerHeight - GAP);
    const start = place.left + this.left + artist * (this.width + GAP);
    const x = artist === NONE ? 0 : shift(start, start + this.width, this.left, innerWidth - GAP);
    if (x !== 0 || y !== 0) scrollBy(x, y);
  }

  focused(event) {
    const target = event.target.closest("[data-photo]");
    if (!target) return;
    const { photo, artist } = crossingOf(target);
    if (photo === this.current.photo && artist === this.current.artist) return;
    this.targetAt(this.current.photo, this.current.artist)?.setAttribute("tabindex", -1);
    target.setAttribute("tabindex", 0);
    this.current = { photo, artist };
  }

  clicked(event) {
    const target = event.target.closest("[data-photo]");
    // Other buttons and keys are for the browser: they open the file itself.
    if (!target || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const { photo, artist } = crossingOf(target);
    this.open(photo, artist);
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (!(event.ctrlKey && (event.key === "Home" || event.key === "End"))) return;
    }
    const { photo, artist } = this.current;
    if (event.key === "f") {
      if (photo !== NONE && artist !== NONE) this.mark(photo, artist);
      return;
    }
    const page = Math.max(1, Math.floor(innerHeight / (this.width + GAP)) - 1);
    const [lastPhoto, lastArtist] = [this.gallery.photos.length - 1, this.gallery.artists.length - 1];
    const to = {
      ArrowUp: [photo - 1, artist],
      ArrowDown: [photo + 1, artist],
      ArrowLeft: [photo, artist - 1],
      ArrowRight: [photo, artist + 1],
      PageUp: [Math.max(0, photo - page), artist],
      PageDown: [photo + page, artist],
      Home: [event.ctrlKey ? 0 : photo, 0],
      End: [event.ctrlKey ? lastPhoto : photo, lastArtist],
    }[event.key];
    if (!to) return;
    event.preventDefault();
    const next = [Math.min(lastPhoto, Math.max(NONE, to[0])), Math.min(lastArtist, Math.max(NONE, to[1]))];
    // The corner is of nothing.
    if (next[0] === NONE && next[1] === NONE) return;
    this.focus(...next);
  }
}

function crossingOf(target) {
  return { photo: Number(target.dataset.photo), artist: Number(target.dataset.artist) };
}
