// A run's page: the drawing that fits its experiment, the readout beside it, the table below.

const data = pageData();
const FLAGS = {
  fewer_trials: "fewer trials than asked for",
  drifting: "the median moved between the first half of the samples and the second",
  unstable: "medians of the trials differ by more than 2 %",
  imprecise: "the median is not known to 1 % (of a host: 10 %)",
  cliff_undecided: "a cliff or not: further trials may tell",
  clock_moved: "the SM clocks of the trials differ by more than 0.5 %",
  below_settled_clock: "below 95 % of the clock at which the card settled",
  power_capped: "the card was at its power limit",
};
const text = (index) => data.texts[index];
const kernels = (point) => (point.kernels ?? []).map((index) => data.kernels[index]);
const isMeasured = (point) => point.p50_ms !== undefined;

/** `a`, or `2 × a` for one that runs twice, in the order of the first. */
function counted(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count > 1 ? `${count} × ${name}` : name));
}

/** A line each, cut where the column ends; the whole name on hovering. */
function kernelLines(names) {
  return names.map((name) => html("div", { class: "mono", title: name }, name));
}

/** Sets of kernels by letter, the most frequent first; beyond the alphabet they share a dot. */
function letters() {
  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const sets = new Map();
  for (const point of data.points.filter((each) => each.kernels?.length)) {
    const key = point.kernels.join();
    const set = sets.get(key) ?? { names: counted(kernels(point)), points: [] };
    set.points.push(point);
    sets.set(key, set);
  }
  const byUse = [...sets].sort((a, b) => b[1].points.length - a[1].points.length);
  byUse.forEach(([, set], i) => { set.letter = LETTERS[i] ?? "·"; });
  return { of: (point) => (point.kernels?.length ? sets.get(point.kernels.join()).letter : null),
    sets: byUse.map(([, set]) => set) };
}

function sign(tag, attributes) {
  return svg("svg", { width: 12, height: 12, "aria-hidden": "true" }, svg(tag, attributes));
}

function swatch(r, key) {
  return sign("circle", { cx: 6, cy: 6, r, style: `fill: var(--${key})` });
}

/** What is known of a point, beside the drawing. */
function readout(point) {
  const facts = [];
  const fact = (name, ...values) =>
    facts.push(html("dt", {}, name), values.map((value) => html("dd", {}, value)));
  const curve = data.curves[point.curve].name;
  const title = point.bar ? `${data.panels[point.panel]}: ${point.bar}`
    : `${data.dim_name} ${point.dim}`;
  const kind = alignment(point.dim);
  const kindName = /^of/.test(kind.name) ? `multiple ${kind.name}` : kind.name;
  if (!point.bar) fact("Alignment", html("span", {}, swatch(5, kind.key), " ", kindName));
  if (!point.bar || data.is_shared) fact("Curve", curve);
  if (isMeasured(point)) {
    fact("Median", time(point.p50_ms));
    if (point.ci95_ms) fact("Another run", interval(point.ci95_ms));
    fact("10–90 %",
      point.p10_ms === undefined ? `up to ${time(point.p90_ms)}`
        : interval([point.p10_ms, point.p90_ms]));
    if (point.cycles) fact("SM cycles", point.cycles.toFixed(0));
    fact("Rate", `${digits(point.tflops)} TFLOP/s`);
    if (point.of_peak_pct) fact("Of peak",
      `${digits(point.of_peak_pct[0])} % compute, ${digits(point.of_peak_pct[1])} % bandwidth`);
    if (point.isolated_ms) fact("Isolated",
      `${time(point.isolated_ms[0])}, p99 ${time(point.isolated_ms[1])}`);
    if (point.cold_ms) fact("Cold caches", time(point.cold_ms));
    if (point.per_call_ms) fact("Per call", time(point.per_call_ms));
    if (point.energy) fact("Energy",
      `${energy(point.energy[0])} ± ${digits(point.energy[1])} %`,
      `${digits(point.energy[2])} TFLOP/J`);
    if (point.against) fact(`Against ${point.against[0]}`, `${ratio(point.against[1])} the time`);
    if (point.verdict) fact("Verdict", point.verdict);
    if (point.backend) fact("Backend", point.backend);
    if (point.reason !== undefined) fact("Why", text(point.reason));
    if (point.kernels.length) fact("Kernels",
      ...counted(kernels(point)).map((name) => html("span", { class: "mono" }, name)));
    const flags = (point.flags ?? []).map(text);
    fact("Flags",
      ...(flags.length ? flags.map((flag) => (FLAGS[flag] ? `${flag}: ${FLAGS[flag]}` : flag))
        : ["none"]));
  } else {
    fact("No result", point.error_kind);
    fact("Why", text(point.error));
  }
  fact("Case", html("span", { class: "mono" }, point.case_id));
  const advice = point.pad
    ? html("p", { class: "pad" }, `Pad to ${point.pad[0]}: ${ratio(point.pad[1])} faster`) : "";
  document.getElementById("readout")
    .replaceChildren(html("h4", {}, title), advice, html("dl", {}, facts));
}

function drawCurves(host, controls) {
  const isSweep = data.layout === "sweep";
  const named = letters();
  const color = (index, point) =>
    (isSweep ? `var(--${alignment(point.dim).key})` : `var(--c${data.curves[index].color})`);
  const rows = data.points.filter((point) => !point.variant);
  const names = [...new Set(data.curves.map((curve) => curve.short))];
  const style = (index) => names.indexOf(data.curves[index].short);
  const panels = data.panels.map((title, panel) => {
    const here = rows.filter((point) => point.panel === panel);
    const indices = [...new Set(here.map((point) => point.curve))];
    const series = indices.map((index) => ({
      index,
      style: style(index),
      name: data.curves[index].short,
      points: here.filter((point) => point.curve === index).sort((a, b) => a.dim - b.dim),
    }));
    return { title, series };
  });
  const model = {
    panels, xName: data.dim_name, isOrdinal: !isSweep, isByCurve: !isSweep, color,
    // Backends often lie on each other: a later one leaves a rim of the earlier visible.
    size: (point, style) => (isSweep ? alignment(point.dim).size : Math.max(3.5, 8 - style)),
    letter: named.sets.length ? named.of : null, isListed: true,
  };
  const change = curveChart(host, model, readout);
  // Curves of very different heights share an axis best when it is logarithmic.
  const medians = rows.filter(isMeasured).map((point) => point.p50_ms);
  const isLog = !isSweep && Math.max(...medians) > 5 * Math.min(...medians);
  controls.append(
    quantityRadios("ms", (quantity) => change({ quantity })),
    scaleRadios(isLog, (isLog) => change({ isLog })));
  // A curve of one point may have no panel.
  const drawn = panels.flatMap((panel) => panel.series.map((each) => each.index));
  if (drawn.length > 1) {
    const ink = (index) => (isSweep ? "var(--muted)" : `var(--c${data.curves[index].color})`);
    const mark = (at) => curveMark(style(drawn[at]), ink(drawn[at]));
    const hide = ({ hidden }) => change({ hidden: new Set([...hidden].map((at) => drawn[at])) });
    const shown = drawn.map((index) => data.curves[index].name);
    controls.append(curveBoxes("Curves", shown, mark, hide));
  }
  change({ isLog });
  host.parentElement.before(key(isSweep, rows));
  if (named.sets.length) document.getElementById("below").append(kernelList(named.sets));
}

/** What the colours mean. */
function key(isSweep, rows) {
  const kinds = isSweep ? CLASSES : [];
  const entries = kinds.map((each) => html("li", {}, swatch(each.size, each.key), each.name));
  if (rows.some((point) => !isMeasured(point))) {
    const cross = { d: crossAt(6, 6, 4), style: "stroke: var(--muted); stroke-width: 1.8" };
    entries.push(html("li", {}, sign("path", cross), "no result"));
  }
  entries.push(html("li", {}, "line: median, band: another run's median, 19 times in 20"));
  return html("ul",
    { class: "key", "aria-label": isSweep ? `Colours: alignment of ${data.dim_name}` : "Signs" },
    entries);
}

/** What the letters below the panels stand for. */
function kernelList(sets) {
  const dims = (set) => [...new Set(set.points.map((point) => point.dim))].sort((a, b) => a - b);
  const row = (set) => html("tr", {}, html("th", { scope: "row" }, set.letter),
    html("td", { class: "number" }, set.points.length),
    html("td", { class: "names" }, kernelLines(set.names)),
    html("td", {}, stretched(dims(set))));
  const heads = ["", "Points", "Kernels of one launch", data.dim_name];
  const head = (title, i) => html("th", { scope: "col", class: i === 1 && "number" }, title);
  const count = sets.length === 1 ? "1 set" : `${sets.length} sets`;
  const region = { tabindex: 0, role: "region", "aria-label": "Kernels by letter" };
  return html("details", {}, html("summary", {}, `Kernels by letter: ${count} of kernels ran`),
    html("div", { class: "scroll", ...region }, html("table", {},
      html("thead", {}, html("tr", {}, heads.map(head))),
      html("tbody", {}, sets.map(row)))));
}

/** `64, 66 to 70 by 2, 72`: dimensions in as few words as will do. */
function stretched(dims) {
  const parts = [];
  for (let i = 0; i < dims.length; ) {
    const step = dims[i + 1] - dims[i];
    let last = i;
    while (last + 1 < dims.length && dims[last + 1] - dims[last] === step) last++;
    if (last - i < 2) { parts.push(String(dims[i])); i++; continue; }
    parts.push(`${dims[i]} to ${dims[last]}${step === 1 ? "" : ` by ${step}`}`);
    i = last + 1;
  }
  return parts.join(", ");
}

function drawBars(host, controls) {
  const points = (panel) => data.points.filter((point) => point.panel === panel);
  const panels = data.panels.map((title, panel) => ({ title, points: points(panel) }));
  const names = [...new Set(data.points.map((point) => point.variant ?? ""))];
  const color = (point) =>
    (point.base ? "var(--muted)" : `var(--c${names.indexOf(point.variant ?? "") % 6})`);
  const change = barChart(host, { panels, isShared: data.is_shared, color, text }, readout);
  controls.append(quantityRadios("ms", (quantity) => change({ quantity })));
  change({ quantity: "ms" });
}

function listPoints() {
  const hasVariants = data.points.some((point) => point.bar);
  const isBar = (point) =>
    (point.bar ? `${data.panels[point.panel]}: ${point.bar}` : data.curves[point.curve].name);
  const number = (title, key, show) => {
    const text = (point) => (key(point) === undefined ? "" : show(key(point), point));
    return { title, key, text, isNumber: true };
  };
  const flags = (point) => (point.flags ?? []).map(text);
  const columns = [
    { title: "Curve", key: isBar, text: isBar },
    number(hasVariants ? "Dim" : data.dim_name, (point) => point.dim, (dim) => dim),
    number("Median", (point) => point.p50_ms, time),
    number("Another run", (point) => point.ci95_ms?.[0], (_, point) => interval(point.ci95_ms)),
    number("SM cycles", (point) => point.cycles, (cycles) => cycles.toFixed(0)),
    number("TFLOP/s", (point) => point.tflops, digits),
    number("% of peak", (point) => point.of_peak_pct?.[0], digits),
    number("Isolated p99", (point) => point.isolated_ms?.[1], time),
    number("Cold", (point) => point.cold_ms, time),
    number("Per call", (point) => point.per_call_ms, time),
    number("Energy", (point) => point.energy?.[0], energy),
    number("TFLOP/J", (point) => point.energy?.[2], digits),
    hasVariants
      ? { title: "Verdict", key: (point) => point.verdict, text: (point) => point.verdict,
        isWords: true }
      : number("× next of 8", (point) => point.against?.[1], ratio),
    { title: "Backend", key: (point) => point.backend, text: (point) => point.backend },
    { title: "Kernels", key: (point) => kernels(point)[0],
      text: (point) => kernelLines(counted(kernels(point))), isName: true },
    {
      title: "Flags, errors", isWords: true,
      key: (point) => point.error_kind ?? flags(point).join(),
      text: (point) => (isMeasured(point) ? flags(point).join(", ")
        : `${point.error_kind}: ${text(point.error)}`),
    },
  ];
  const isShown = (cell) => cell !== undefined && cell.length !== 0;
  const isUsed = (column) => data.points.some((point) => isShown(column.text(point)));
  sortedTable(document.getElementById("table"), columns.filter(isUsed), data.points, {
    filter: document.getElementById("filter"),
    status: document.getElementById("matches"),
    words: (point) => [
      point.case_id, point.variant ?? "", alignment(point.dim).key === "odd" ? "odd" : "",
      point.reason === undefined ? "" : text(point.reason),
    ].join(" "),
  });
}

themeButton(document.getElementById("theme"));
const host = document.getElementById("drawing");
const controls = document.getElementById("controls");
if (data.layout === "bars") drawBars(host, controls);
else drawCurves(host, controls);
listPoints();
