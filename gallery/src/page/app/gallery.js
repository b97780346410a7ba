// The gallery as its page carries it: compact, and read cell by cell.

/** The long sides of thumbnails, pixels. */
const THUMBNAIL_SIDE = 320;
const LARGE_SIDE = 640;
/** No photo, or no artist. */
const NONE = -1;

class Gallery {
  constructor(text) {
    Object.assign(this, JSON.parse(text));
    this.indices = new Map(
      this.cells.map(([, photo, artist, variant], index) => [this.key(photo, artist, variant), index]),
    );
  }

  key(photo, artist, variant) {
    return (variant * (this.photos.length + 1) + photo + 1) * (this.artists.length + 1) + artist + 1;
  }

  /** What is at a crossing, or null. Without a photo or without an artist it is a reconstruction. */
  find(photo, artist, variant) {
    const index = this.indices.get(this.key(photo, artist, variant));
    if (index === undefined) return null;
    const [place, , , , state, attempts, failure, picture] = this.cells[index];
    return { place, photo, artist, variant, state, attempts, failure, picture: this.picture(picture) };
  }

  picture(fields) {
    if (!fields) return null;
    const [path, thumbnail, large, width, height, bytes, seconds, evaluations, loss, node, network, device, cost, curve] =
      fields;
    return {
      path, thumbnail, large, width, height, bytes, seconds, evaluations,
      loss: loss ?? NaN,
      node: this.nodes[node],
      network: this.networks[network],
      device: this.devices[device],
      cost,
      curve: curve ?? [],
    };
  }

  /** What a cell was rendered with: its variant's settings over its artist's over the grid's. */
  settingsOf(cell) {
    const artist = cell.artist === NONE ? {} : this.artists[cell.artist].settings;
    return { ...this.settings, ...artist, ...this.variants[cell.variant].settings };
  }

  /** What a cell is, in words. */
  titleOf(photo, artist) {
    if (artist === NONE) return this.photos[photo].name;
    if (photo === NONE) return this.artists[artist].name;
    return this.photos[photo].name + " in the style of " + this.artists[artist].name;
  }

  /**
   * The settings in which variants differ, each with its values. A sweep over several settings has one axis for each.
   */
  axes() {
    const keys = new Set(this.variants.flatMap((variant) => Object.keys(variant.settings)));
    const axes = [];
    for (const key of keys) {
      const texts = this.variants.map((variant) => settingText(this.settingOf(variant, key)));
      const values = [...new Set(texts)];
      if (values.length > 1) axes.push({ key, texts, values });
    }
    const told = this.variants.map((_, index) => axes.map((axis) => axis.texts[index]).join("\n"));
    // Variants that differ in nothing but their names are told apart by these.
    if (new Set(told).size < this.variants.length) {
      const texts = this.variants.map((variant, index) => variant.name || "variant " + (index + 1));
      return [{ key: "variant", texts, values: texts }];
    }
    return axes;
  }

  settingOf(variant, key) {
    return variant.settings[key] ?? this.settings[key];
  }
}

/**
 * The variant that has `value` on an axis and is the most like `variant` on the others: not every sweep has all
 * combinations.
 */
function switched(axes, variant, axis, value) {
  const likeness = (other) => axes.filter((one) => one.texts[other] === one.texts[variant]).length;
  const ofValue = axis.texts.flatMap((text, other) => (text === value ? [other] : []));
  return ofValue.reduce((best, other) => (likeness(other) > likeness(best) ? other : best));
}

/** The candidates from which a browser takes what suits the screen. */
function sources(picture) {
  const long = Math.max(picture.width, picture.height);
  const width = (side) => Math.max(1, Math.round((picture.width * Math.min(side, long)) / long));
  const candidates = [picture.thumbnail + " " + width(THUMBNAIL_SIDE) + "w"];
  if (picture.large) candidates.push(picture.large + " " + width(LARGE_SIDE) + "w");
  return candidates.join(", ");
}
