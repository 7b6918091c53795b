// Curves over a dimension, in panels: dots, a line through them, a band that holds the median of
// another run 19 times in 20, crosses where there is no result, and below each panel which kernels
// ran. Pointer and arrow keys move a cursor.

const TOP = 30, PLOT = 250, STRIP = 15, AXIS = 40;
const DASHES = ["", "6 3", "2 3", "8 3 2 3", "1 3", "10 4"];

/** Outline of a dot: as many shapes as there are dashes. */
function shape(index, x, y, r) {
  const s = r * 0.9, d = r * 1.3;
  switch (index % 6) {
    case 0: return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
    case 1: return `M${x - s} ${y - s}h${2 * s}v${2 * s}h${-2 * s}z`;
    case 2: return `M${x} ${y - d}l${d} ${d}l${-d} ${d}l${-d} ${-d}z`;
    case 3: return `M${x} ${y - d}l${d} ${2 * d}h${-2 * d}z`;
    case 4: return `M${x} ${y + d}l${d} ${-2 * d}h${-2 * d}z`;
    default: return `M${x - d} ${y}h${2 * d}M${x} ${y - d}v${2 * d}`;
  }
}

function crossAt(x, y, r) {
  return `M${x - r} ${y - r}l${2 * r} ${2 * r}M${x + r} ${y - r}l${-2 * r} ${2 * r}`;
}

/** What a legend shows for a curve: its line and its dot. */
function curveMark(style, color) {
  return svg("svg", { width: 34, height: 14, "aria-hidden": "true" },
    svg("line", { x1: 1, x2: 33, y1: 7, y2: 7, "stroke-width": 1.5,
      "stroke-dasharray": DASHES[style % 6], style: `stroke: ${color}` }),
    svg("path", { d: shape(style, 17, 7, 4.5), style: `fill: ${color}; stroke: ${color}` }));
}

/**
 * A point's value and its interval in the quantity shown. Rates are medians too: work over the
 * median time.
 */
function valueOf(point, quantity) {
  const [low, high] = point.ci95_ms ?? [point.p50_ms, point.p50_ms];
  if (quantity === "ms") return { mid: point.p50_ms, low, high };
  if (quantity === "ratio") return { mid: point.ratio, low: point.ratio, high: point.ratio };
  const rate = (ms) => (point.tflops * point.p50_ms) / ms;
  return { mid: point.tflops, low: rate(high), high: rate(low) };
}

/**
 * Draws `model` into `host` and keeps it drawn. The model: `panels` of `{title, series: [{index,
 * style, name, points}]}` (`style` picks dots and dashes), `xName`, `isOrdinal` (dimensions side by
 * side), `isByCurve` (a colour per curve), `color(series, point)`, `size(point, style)`,
 * `letter(point)` for what ran (or null), `ratioName` where points have a `ratio`, `isListed` where
 * a table below has the points too. `show(point)` is called with what is under the cursor.
 * Hands back a function that changes the `quantity`, `isLog` and the `hidden` indices of curves.
 */
function curveChart(host, model, show) {
  const state = { quantity: "ms", isLog: false, hidden: new Set() };
  let drawn = 0;
  const fitting = () => Math.round(Math.max(520, Math.min(1400, host.clientWidth || 900)));
  const draw = () => {
    drawn = fitting();
    host.replaceChildren(
      ...model.panels.map((panel) => drawPanel(panel, model, state, drawn, show)));
  };
  // Drawing changes the height, which is observed too.
  const fit = () => { if (fitting() !== drawn) draw(); };
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(host);
  return (changes) => { Object.assign(state, changes); draw(); };
}

function drawPanel(panel, model, state, width, show) {
  const series = panel.series.filter((each) => !state.hidden.has(each.index));
  const points = series.flatMap((each) => each.points);
  const measured = points.filter((point) => point.p50_ms !== undefined);
  const hasEnds = panel.series.length > 1;
  const nameLength = Math.max(...panel.series.map((each) => each.name.length));
  const right = hasEnds ? Math.min(width > 700 ? 190 : 140, 18 + 8.5 * nameLength) : 22;
  // Room for the numbers of the axis, and for names beside the rows of kernels.
  const left = Math.max(58, 14 + 7.6 * (hasEnds && model.letter ? nameLength : 0));
  const hasFailed = points.length > measured.length;
  const top = TOP + (measured.some((point) => point.pad) ? 22 : 0);
  const bottom = top + PLOT;
  const strips = model.letter ? series.length * STRIP + (series.length ? 5 : 0) : 0;
  const height = bottom + strips + AXIS;

  const tried = panel.series.flatMap((each) => each.points.map((point) => point.dim));
  const dims = [...new Set(tried)].sort((a, b) => a - b);
  const x = model.isOrdinal
    ? (dim) => left + ((dims.indexOf(dim) + 0.5) / dims.length) * (width - left - right)
    : scale(false, dims[0] - 1, dims[dims.length - 1] + 1, left, width - right).at;
  const [factor, unit] = state.quantity === "ms"
    ? timeUnit(Math.max(...measured.map((point) => point.p50_ms), 0)) : [1, ""];
  const values = new Map(measured.map((point) => [point, valueOf(point, state.quantity)]));
  const all = [...values.values()].flatMap((value) => [value.low, value.mid, value.high])
    .map((value) => value * factor);
  const [low, high] = range(all, state.isLog || state.quantity === "ratio");
  const y = scale(state.isLog, low, high, bottom - (hasFailed ? 20 : 0), top);
  const at = (point) =>
    [x(point.dim), values.has(point) ? y.at(values.get(point).mid * factor) : bottom - 8];

  const root = svg("svg", {
    class: "panel", viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "application",
    "aria-roledescription": "interactive drawing",
    "aria-label": `${panel.title || "Curves"}: ${measured.length} points over ${model.xName}. `
      + "Arrow keys left and right move along a curve, up and down between curves."
      + (model.isListed ? " The table of all points has the same numbers." : ""),
  });
  const quantityName = { ms: `latency (${unit})`, tflops: "throughput (TFLOP/s)",
    ratio: model.ratioName }[state.quantity];
  root.append(
    svg("text", { x: 2, y: 14 }, svg("tspan", { class: "title" }, panel.title),
      panel.title ? " · " : "", quantityName),
    drawGrid(dims, x, y,
      { left, right: width - right, top, bottom, isOrdinal: model.isOrdinal, xName: model.xName,
        height }));

  series.forEach((each, row) => {
    const paint = (point) => model.color(each.index, point);
    const line = model.isByCurve ? `stroke: ${paint(each.points[0])}` : "";
    for (const stretch of stretches(each.points)) {
      const edge = (key) =>
        stretch.map((point) => `${x(point.dim)} ${y.at(values.get(point)[key] * factor)}`);
      root.append(
        svg("path", { class: "band",
          d: `M${[...edge("low"), ...edge("high").reverse()].join("L")}z`,
          style: `fill: ${model.isByCurve ? paint(stretch[0]) : "var(--muted)"}` }),
        svg("path", { class: "curve", d: `M${edge("mid").join("L")}`,
          "stroke-dasharray": DASHES[each.style % 6], style: line }));
    }
    for (const point of each.points) {
      const [px, py] = at(point);
      root.append(values.has(point)
        ? svg("path",
          { class: "dot", d: shape(each.style, px, py, model.size(point, each.style)),
            style: `fill: ${paint(point)}` })
        : svg("path",
          { class: "cross", d: crossAt(px + crossShift(model, row, series.length), py, 4),
            style: `stroke: ${paint(point)}` }));
    }
    if (model.letter) root.append(
      drawStrip(each, x, bottom + 5 + row * STRIP, model.letter, left - 8,
        hasEnds ? each.name : "kernels"));
  });
  root.append(drawAdvice(pickAdvice(measured, x, left, width - right), measured, at, top));
  if (hasEnds) root.append(drawEnds(series, at, values, model, width - right + 8, top, bottom));
  follow(root, series, at, { width, top, bottom }, show);
  return root;
}

/** Where several curves fail at one place side by side, their crosses stand beside each other. */
function crossShift(model, row, count) {
  return model.isOrdinal ? (row - (count - 1) / 2) * 12 : 0;
}

/** The points between failures: a line across a failure would claim a value there. */
function stretches(points) {
  const found = [[]];
  for (const point of points) {
    if (point.p50_ms === undefined) found.push([]);
    else found[found.length - 1].push(point);
  }
  return found.filter((stretch) => stretch.length > 0);
}

function drawGrid(dims, x, y, { left, right, top, bottom, isOrdinal, xName, height }) {
  const group = svg("g", { "aria-hidden": "true" });
  for (const tick of y.ticks) {
    const py = y.at(tick);
    if (py < top - 1 || py > bottom + 1) continue;
    group.append(
      svg("line", { class: "grid", x1: left, x2: right, y1: py, y2: py }),
      svg("text", { x: left - 8, y: py + 4, "text-anchor": "end" }, tickText(tick)));
  }
  const [first, last] = [dims[0], dims[dims.length - 1]];
  const most = (right - left) / 46;
  const step = [8, 16, 32, 64, 128, 256, 512, 1024].find((each) => (last - first) / each <= most)
    ?? 4096;
  const grid = dims.filter((dim) => dim % step === 0);
  const ticks = isOrdinal || dims.length <= 8 || grid.length < 2 ? dims : grid;
  let end = -Infinity;
  for (const dim of ticks) {
    // In a wide list, dimensions that lie close together share a number.
    if (x(dim) - end < 30) continue;
    end = x(dim);
    group.append(
      svg("line", { class: "grid", x1: x(dim), x2: x(dim), y1: top, y2: bottom }),
      svg("text", { x: x(dim), y: height - 20, "text-anchor": "middle" }, dim));
  }
  group.append(
    svg("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }),
    svg("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, xName));
  return group;
}

/** A row of letters, one per set of kernels; a gap where the kernels change. */
function drawStrip(series, x, top, letterOf, nameEnd, name) {
  const group =
    svg("g", { "aria-hidden": "true" },
      svg("text", { x: nameEnd, y: top + 10, "text-anchor": "end" }, name));
  const points = series.points;
  // Halfway to the neighbours, or as far as on the other side at either end.
  const edge = (i) => (x(points[i].dim) + x(points[i + 1].dim)) / 2;
  const half = points.length > 1 ? edge(0) - x(points[0].dim) : 20;
  for (let from = 0; from < points.length; ) {
    let to = from;
    while (to + 1 < points.length && letterOf(points[to + 1]) === letterOf(points[from])) to++;
    const left = from === 0 ? x(points[0].dim) - half : edge(from - 1);
    const rightEdge = to + 1 === points.length
      ? 2 * x(points[to].dim) - (to ? edge(to - 1) : x(points[to].dim) - half) : edge(to);
    const letter = letterOf(points[from]);
    if (letter) {
      group.append(
        svg("rect", { class: "strip", x: left + 0.6, width: Math.max(0.5, rightEdge - left - 1.2),
          y: top, height: STRIP - 2, rx: 2 }));
      if (rightEdge - left >= 8) group.append(
        svg("text", { class: "letter", x: (left + rightEdge) / 2, y: top + 10 }, letter));
    }
    from = to + 1;
  }
  return group;
}

/**
 * The cliffs that gain most, up to three whose labels do not touch: each with its words and where
 * they stand.
 */
function pickAdvice(points, x, left, right) {
  const picked = [];
  for (const point of points.filter((each) => each.pad).sort((a, b) => b.pad[1] - a.pad[1])) {
    if (picked.length === 3) break;
    const words = `${point.dim}: pad to ${point.pad[0]}, ${ratio(point.pad[1])} faster`;
    const width = 7 * words.length;
    const from = Math.max(left, Math.min(right - width, x(point.dim) - width / 2));
    const isClear = (other) => from > other.from + other.width || other.from > from + width;
    if (picked.every(isClear)) picked.push({ point, words, from, width });
  }
  return picked;
}

/** A tick on the upper edge for every cliff, and in words what to do about the worst. */
function drawAdvice(advice, points, at, top) {
  const group = svg("g", { "aria-hidden": "true" });
  for (const dim of new Set(points.filter((point) => point.pad).map((point) => point.dim))) {
    const [px] = at(points.find((point) => point.dim === dim));
    group.append(
      svg("line", { class: "axis", x1: px, x2: px, y1: top, y2: top + 5,
        style: "stroke: var(--muted)" }));
  }
  for (const { point, words, from, width } of advice) {
    const [px, py] = at(point);
    group.append(
      svg("line", { class: "cliff", x1: px, x2: px, y1: top - 4, y2: py - 6 }),
      svg("text", { class: "advice", x: from + width / 2, y: top - 8, "text-anchor": "middle" },
        words));
  }
  return group;
}

/** Names at the right end of the curves, pushed apart where they would overlap. */
function drawEnds(series, at, values, model, x, top, bottom) {
  const ends = series
    .map((each) => ({ each, last: each.points.filter((point) => values.has(point)).at(-1) }))
    .filter(({ last }) => last)
    .map(({ each, last }) =>
      ({ name: each.name, color: model.isByCurve ? model.color(each.index, last) : "var(--ink)",
        y: at(last)[1] + 4 }))
    .sort((a, b) => a.y - b.y);
  ends.forEach((end, i) => { if (i) end.y = Math.max(end.y, ends[i - 1].y + 14); });
  const over = ends.length ? Math.max(0, ends.at(-1).y - bottom) : 0;
  return svg("g", { "aria-hidden": "true" },
    ends.map((end) =>
      svg("text", { class: "end", x, y: Math.max(top, end.y - over), style: `fill: ${end.color}` },
        end.name)));
}

/** Moves a cursor to the nearest point under the pointer, or along the curves by the arrow keys. */
function follow(root, series, at, { width, top, bottom }, show) {
  const hair = svg("line", { class: "hair", y1: top, y2: bottom, visibility: "hidden" });
  const ring = svg("circle", { class: "ring", r: 8, visibility: "hidden" });
  root.append(hair, ring);
  let cursor = null;
  const go = (row, column) => {
    const point = series[row]?.points[column];
    if (!point || (cursor && cursor.row === row && cursor.column === column)) return;
    cursor = { row, column };
    const [x, y] = at(point);
    fillIn(hair, { x1: x, x2: x, visibility: "visible" }, []);
    fillIn(ring, { cx: x, cy: y, visibility: "visible" }, []);
    show(point);
  };
  const point = (event) => {
    const box = root.getBoundingClientRect();
    const zoom = width / box.width;
    const [px, py] = [(event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom];
    let best = null;
    series.forEach((each, row) => each.points.forEach((point, column) => {
      const [x, y] = at(point);
      const distance = (x - px) ** 2 * 4 + (y - py) ** 2;
      if (!best || distance < best.distance) best = { row, column, distance };
    }));
    if (best) go(best.row, best.column);
  };
  root.addEventListener("pointermove", point);
  root.addEventListener("pointerdown", point);
  const nearest = (row, dim) => {
    const distances = series[row].points.map((point) => Math.abs(point.dim - dim));
    return distances.indexOf(Math.min(...distances));
  };
  root.addEventListener("keydown", (event) => {
    if (!series.length || event.altKey || event.ctrlKey || event.metaKey) return;
    const { row, column } = cursor ?? { row: 0, column: -1 };
    const points = series[row].points;
    const dim = points[Math.max(column, 0)].dim;
    const vertical = (to) => {
      const next = Math.min(series.length - 1, Math.max(0, to));
      go(next, nearest(next, dim));
    };
    const keys = {
      ArrowRight: () => go(row, Math.min(points.length - 1, column + 1)),
      ArrowLeft: () => go(row, Math.max(0, column - 1)),
      ArrowUp: () => vertical(row - 1),
      ArrowDown: () => vertical(row + 1),
      Home: () => go(row, 0),
      End: () => go(row, points.length - 1),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
}

function quantityRadios(chosen, choose, more = []) {
  const options = [["ms", "Latency"], ["tflops", "TFLOP/s"], ...more];
  return radios("Show", "quantity", options, chosen, choose);
}

function scaleRadios(isLog, choose) {
  const options = [["linear", "Linear"], ["log", "Log"]];
  return radios("Scale", "scale", options, options[Number(isLog)][0],
    (value) => choose(value === "log"));
}

/** Check boxes that hide curves of a drawing, which `change` changes; `hidden` are hidden now. */
function curveBoxes(legend, names, mark, change, hidden = new Set()) {
  return checkboxes(legend, names, mark, (index, isOn) => {
    if (isOn) hidden.delete(index);
    else hidden.add(index);
    change({ hidden });
  }, hidden);
}
