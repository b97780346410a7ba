// What the address of the page says after its `#`: which variant, what is open, and the favourites, so that a link shares
// them.

/** The state of a page of the history whose address is written here, and was not followed or typed. */
const WRITTEN = { isWritten: true };

class Address {
  constructor() {
    this.read();
  }

  read() {
    const fields = new URLSearchParams(location.hash.slice(1));
    const number = (name) => (/^\d+$/.test(fields.get(name) ?? "") ? Number(fields.get(name)) : null);
    this.variant = Math.max(0, (number("variant") ?? 1) - 1);
    this.open = fields.get("open");
    this.favourites = new Set(placesIn(fields.get("favourites") ?? ""));
  }

  /** Puts what this says into the address; as a page of its own in the history, if asked for. */
  write(isNewPage = false) {
    const fields = [];
    if (this.variant > 0) fields.push("variant=" + (this.variant + 1));
    if (this.open) fields.push("open=" + this.open);
    if (this.favourites.size > 0) fields.push("favourites=" + textOf(this.favourites));
    const hash = fields.length > 0 ? "#" + fields.join("&") : location.pathname + location.search;
    if (isNewPage) history.pushState(WRITTEN, "", hash);
    else history.replaceState(WRITTEN, "", hash);
  }
}

/** Most places that an address is read for. */
const PLACES_MAX = 1_000_000;

/** The places that a list such as `3,17,40-44` names. */
function placesIn(text) {
  const places = [];
  for (const part of text.split(",")) {
    const ends = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (!ends) continue;
    const first = Number(ends[1]);
    const last = Number(ends[2] ?? first);
    if (last - first + places.length > PLACES_MAX) return places;
    for (let place = first; place <= last; place += 1) places.push(place);
  }
  return places;
}

/** The shortest list of places that `placesIn` reads. */
function textOf(places) {
  const sorted = [...places].sort((left, right) => left - right);
  const runs = [];
  for (const place of sorted) {
    const run = runs.at(-1);
    if (run && run[1] === place - 1) run[1] = place;
    else runs.push([place, place]);
  }
  return runs.map(([first, last]) => (first === last ? first : first + "-" + last)).join(",");
}
