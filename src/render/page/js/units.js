// Numbers as a person reads them: the same as in the findings, which src/units.rs writes.

/** Three significant digits, but never fewer than the integer part has. */
function digits(value) {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const exponent = Number(value.toExponential(2).split("e")[1]);
  return value.toFixed(Math.max(0, 2 - exponent));
}

/** A time in the unit that suits it. */
function time(ms) {
  if (ms < 0.9995) return `${digits(ms * 1e3)} µs`;
  return ms < 999.5 ? `${digits(ms)} ms` : `${digits(ms * 1e-3)} s`;
}

/** An energy in the unit that suits it. */
function energy(joules) {
  if (joules < 0.9995e-3) return `${digits(joules * 1e6)} µJ`;
  return joules < 0.9995 ? `${digits(joules * 1e3)} mJ` : `${digits(joules)} J`;
}

/** Times in the unit of the last, with enough digits to tell them apart. */
function interval([low, high]) {
  const [factor, unit] = timeUnit(high);
  const width = (high - low) * factor;
  const decimals = width > 0 ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(width)))) : 2;
  const text = (ms) => (ms * factor).toFixed(decimals);
  return text(low) === text(high) ? `${text(low)} ${unit}`
    : `${text(low)} to ${text(high)} ${unit}`;
}

/** By what to multiply milliseconds so that `ms` reads well, and the unit this gives. */
function timeUnit(ms) {
  if (ms < 0.9995) return [1e3, "µs"];
  return ms < 999.5 ? [1, "ms"] : [1e-3, "s"];
}

/** A ratio. */
function ratio(value) {
  return `${value < 1 ? value.toFixed(2) : digits(value)}×`;
}

/** Alignment classes, best first: the largest of these that divides a dimension. */
const CLASSES = [
  { key: "mod16", name: "multiple of 16", has: (dim) => dim % 16 === 0, size: 4.6 },
  { key: "mod8", name: "of 8", has: (dim) => dim % 8 === 0, size: 4.6 },
  { key: "mod4", name: "of 4", has: (dim) => dim % 4 === 0, size: 3.9 },
  { key: "mod2", name: "of 2", has: (dim) => dim % 2 === 0, size: 3.5 },
  { key: "odd", name: "odd", has: () => true, size: 3.2 },
];

function alignment(dim) {
  return CLASSES.find((each) => each.has(dim));
}
