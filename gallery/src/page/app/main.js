// The page: what it carries is shown, what is chosen stands in its address, and while the grid is at work it looks for
// news.

/** Widths that pictures may have in the sheet, pixels. */
const WIDTH_MIN = 72;
const WIDTH_MAX = 420;

/** One group of buttons for each swept setting, or a list where its values are many. */
function variantSwitches(axes, variant, choose) {
  return axes.map((axis) => {
    const current = axis.texts[variant];
    if (axis.values.length > 6) {
      const options = axis.values.map((value) => element("option", { value, selected: value === current }, value));
      const list = element("select", {}, ...options);
      list.addEventListener("change", () => choose(switched(axes, variant, axis, list.value)));
      return element("label", { class: "switch" }, axis.key + " ", list);
    }
    const buttons = axis.values.map((value) =>
      button(value, { "aria-pressed": String(value === current) }, () => choose(switched(axes, variant, axis, value))),
    );
    return element("div", { class: "switch", role: "group", "aria-label": axis.key }, element("span", {}, axis.key), ...buttons);
  });
}

class Page {
  constructor() {
    this.text = document.getElementById("gallery").textContent;
    this.gallery = new Gallery(this.text);
    this.address = new Address();
    const favourites = {
      mark: (photo, artist) => this.mark(photo, artist),
      isMarked: (place) => this.address.favourites.has(place),
    };
    this.sheet = new Sheet(document.getElementById("sheet"), {
      open: (photo, artist) => this.goTo({ photo, artist, variant: this.address.variant }, true),
      ...favourites,
    });
    this.viewer = new Viewer({ moved: (to) => this.goTo(to, false), ...favourites });
    this.tools = document.getElementById("tools");
    this.said = element("span", { class: "said", role: "status" });
    addEventListener("popstate", (event) => this.follow(event.state !== null));
    this.show();
    this.follow();
    if (this.gallery.refresh) this.lookForNews();
  }

  /** Everything anew, as the gallery and the address have it. */
  show() {
    this.address.variant = Math.min(this.address.variant, this.gallery.variants.length - 1);
    this.sheet.show(this.gallery, this.address.variant);
    this.showTools();
  }

  showTools() {
    const { favourites, variant } = this.address;
    const marked = favourites.size;
    const width = element("input", {
      type: "range", min: WIDTH_MIN, max: WIDTH_MAX, step: 4, value: this.sheet.width, "aria-label": "Width of pictures",
    });
    width.addEventListener("input", () => this.sheet.resize(Number(width.value)));
    const switches = variantSwitches(this.gallery.axes(), variant, (to) => this.choose(to));
    const share = button("Copy a link", {}, async () => {
      const link = new URL(location.href);
      link.hash = "favourites=" + textOf(favourites);
      this.say((await copy(link.href)) ? "Copied a link to the favourites" : "This browser does not allow it");
    });
    const save = button("Save the list", {}, () => this.save());
    const only = button("Only these", { "aria-pressed": String(this.isOnly ?? false) }, () => {
      this.isOnly = !this.isOnly;
      only.setAttribute("aria-pressed", String(this.isOnly));
      document.body.classList.toggle("only-favourites", this.isOnly);
    });
    document.body.classList.toggle("only-favourites", Boolean(this.isOnly && marked > 0));
    refill(
      this.tools,
      ...switches,
      element("label", { class: "switch" }, element("span", {}, "size"), width),
      element(
        "div",
        { class: "switch", role: "group", "aria-label": "Favourites" },
        element("span", {}, marked > 0 ? "★ " + marked : "★ no favourites yet: f marks one"),
        ...(marked > 0 ? [only, share, save] : []),
      ),
      this.said,
    );
  }

  say(text) {
    this.said.textContent = text;
  }

  /** Another variant, in place: what is in sight stays where it is. */
  choose(variant) {
    this.address.variant = variant;
    this.address.write();
    this.show();
  }

  /** Shows a crossing large, or nothing any more. */
  goTo(to, isNewPage) {
    if (to === null) {
      if (this.address.open === null) return;
      this.address.open = null;
      this.address.write();
      const { photo, artist } = this.viewer;
      this.sheet.focus(photo, artist);
      return;
    }
    const { photo, artist, variant } = to;
    if (variant !== this.address.variant) {
      this.address.variant = variant;
      this.show();
    }
    this.address.open = photo + "," + artist;
    this.address.write(isNewPage);
    this.viewer.show(this.gallery, photo, artist, variant);
  }

  /** What the address says, after it was changed. Back in the history, where this page wrote it, what was marked since stays. */
  follow(isBack = false) {
    const { variant, favourites } = this.address;
    this.address.read();
    if (isBack) this.address.favourites = favourites;
    this.address.write();
    if (this.address.variant !== variant || textOf(this.address.favourites) !== textOf(favourites)) this.show();
    else this.showTools();
    const open = /^(-?\d+),(-?\d+)$/.exec(this.address.open ?? "");
    const [photo, artist] = open ? [Number(open[1]), Number(open[2])] : [NONE, NONE];
    const isThere = photo < this.gallery.photos.length && artist < this.gallery.artists.length
      && photo >= NONE && artist >= NONE && (photo !== NONE || artist !== NONE);
    if (isThere) this.viewer.show(this.gallery, photo, artist, this.address.variant);
    else if (this.viewer.dialog.open) {
      this.viewer.dialog.close();
      this.sheet.focus(this.viewer.photo, this.viewer.artist);
    }
  }

  mark(photo, artist) {
    const cell = this.gallery.find(photo, artist, this.address.variant);
    if (!cell?.picture) return;
    const { favourites } = this.address;
    if (!favourites.delete(cell.place)) favourites.add(cell.place);
    this.address.write();
    this.sheet.refresh(photo, artist);
    this.showTools();
    this.say(favourites.has(cell.place) ? "Marked as a favourite" : "No favourite any more");
  }

  /** Saves the favourites as a file for `atelier submit --like`. */
  save() {
    const places = [...this.address.favourites].sort((left, right) => left - right);
    const list = { grid_id: this.gallery.grid, name: this.gallery.name, favourites: places };
    const file = new Blob([JSON.stringify(list, null, 2) + "\n"], { type: "application/json" });
    const link = element("a", { href: URL.createObjectURL(file), download: "favourites.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    this.say("Saved as favourites.json");
  }

  /** While the grid is at work: the page anew, with what is open and where it is scrolled to left as it is. */
  lookForNews() {
    setTimeout(async () => {
      if (document.visibilityState === "visible") {
        if (location.protocol === "file:") {
          // A page from disk may not read files; it can only be loaded anew.
          if (!this.viewer.dialog.open) location.reload();
        } else {
          await this.fetchNews().catch(() => {});
        }
      }
      if (this.gallery.refresh) this.lookForNews();
    }, this.gallery.refresh * 1000);
  }

  async fetchNews() {
    const answer = await fetch(location.pathname + location.search, { cache: "no-cache" });
    if (!answer.ok) return;
    const news = new DOMParser().parseFromString(await answer.text(), "text/html");
    const text = news.getElementById("gallery").textContent;
    for (const part of ["header", "footer"]) {
      document.querySelector(part).replaceWith(news.querySelector(part));
    }
    if (text === this.text) return;
    this.text = text;
    this.gallery = new Gallery(text);
    const hadFocus = document.activeElement?.closest("#sheet") !== null;
    this.show();
    if (hadFocus && !this.viewer.dialog.open) {
      const { photo, artist } = this.sheet.current;
      this.sheet.targetAt(photo, artist)?.focus({ preventScroll: true });
    }
    if (this.viewer.dialog.open) {
      const { photo, artist } = this.viewer;
      this.viewer.show(this.gallery, photo, artist, this.address.variant);
    }
  }
}

new Page();
