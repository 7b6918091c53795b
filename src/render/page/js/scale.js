// From numbers to pixels, and the ticks between.

/** A linear scale, or a logarithmic one, from [low, high] to pixels [from, to]. */
function scale(isLog, low, high, from, to) {
  const f = isLog ? Math.log10 : (value) => value;
  const [a, b] = [f(low), f(high)];
  const at = (value) => from + ((f(value) - a) / (b - a || 1)) * (to - from);
  return { at, ticks: isLog ? logTicks(low, high) : linearTicks(low, high) };
}

/** Multiples of 1, 2 or 5 times a power of ten: about five. */
function linearTicks(low, high) {
  const raw = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((each) => each * power >= raw) * power;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9);
    i++) ticks.push(i * step);
  return ticks;
}

/**
 * 1, 2 and 5 times powers of ten; powers alone where there are many; linear ones where there are
 * hardly any.
 */
function logTicks(low, high) {
  const decades = Math.log10(high / low);
  const ticks = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) {
    for (const m of decades > 4 ? [1] : [1, 2, 5]) {
      const tick = m * 10 ** e;
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push(tick);
    }
  }
  return ticks.length >= 3 ? ticks : linearTicks(low, high);
}

/** A tick as short as it can be told. */
function tickText(value) {
  return String(Number(value.toPrecision(4)));
}

/** The range to show: from zero, or from the least with some room. */
function range(values, isCut) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (!Number.isFinite(low)) return isCut ? [0.1, 1] : [0, 1];
  if (!isCut) return [0, high * 1.08];
  const room = Math.max((high / low) ** 0.06, 1.06);
  return [low / room, high * room];
}
