// Numbers and settings as people read them.

const SPACE = "\u00a0";

/** A span of time, to two units at most. */
function spanOfTime(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "unknown time";
  if (seconds < 9.95) return seconds.toFixed(1) + SPACE + "s";
  const whole = Math.round(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = whole % 60;
  const parts = hours > 0 ? [[hours, "h"], [minutes, "min"]] : [[minutes, "min"], [rest, "s"]];
  const said = parts.filter(([count]) => count > 0).map(([count, unit]) => count + SPACE + unit);
  return said.join(" ");
}

/** A number to three significant digits. */
function rounded(number) {
  if (!Number.isFinite(number)) return "unknown";
  const magnitude = Math.abs(number);
  if (magnitude === 0) return "0";
  if (magnitude < 1e-3 || magnitude >= 1e6) return number.toExponential(2);
  return number.toFixed(Math.max(0, 2 - Math.floor(Math.log10(magnitude))));
}

function dollars(amount) {
  return "$" + (amount >= 0.995 ? amount.toFixed(2) : amount.toPrecision(2));
}

function fileSize(bytes) {
  if (bytes < 1e6) return Math.max(1, Math.round(bytes / 1e3)) + SPACE + "kB";
  return (bytes / 1e6).toFixed(1) + SPACE + "MB";
}

function count(number, what) {
  return number + SPACE + what + (number === 1 ? "" : "s");
}

/** A setting's value in a few words. */
function settingText(value) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    const weights = Object.entries(value).map(([layer, weight]) => layer + ":" + weight);
    return weights.length > 0 ? weights.join(", ") : "the network’s own";
  }
  return String(value);
}

/** Settings as a TOML table, as grid files have it under `[settings]`. */
function toml(settings) {
  const lines = Object.entries(settings).flatMap(([key, value]) => {
    if (value === null) return [];
    return [key + " = " + tomlValue(value)];
  });
  return "[settings]\n" + lines.join("\n") + "\n";
}

function tomlValue(value) {
  if (typeof value === "string") {
    // The escapes of JSON are escapes of TOML, but for the solidus, which JSON does not escape here.
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return "[" + value.map(tomlValue).join(", ") + "]";
  if (value !== null && typeof value === "object") {
    const pairs = Object.entries(value).map(([key, part]) => JSON.stringify(key) + " = " + tomlValue(part));
    return "{ " + pairs.join(", ") + " }";
  }
  return String(value);
}
