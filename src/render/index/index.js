// The overlay: one curve of one experiment, as several runs measured it.

const view = { isLog: false, base: 0, hidden: new Set(), labels: "" };

/**
 * The experiments with those of their runs and curves that pass the filters. Curves are in a Map:
 * an object has a `constructor` whatever the curves are called.
 */
function offered() {
  return data.experiments.map((experiment) => {
    const runs = experiment.runs.map((run) => {
      const curves = Object.entries(run.curves).filter(([, { providers }]) =>
        passes({ ...run, group: experiment.group, experiment: experiment.name, providers }));
      return { ...run, curves: new Map(curves) };
    });
    const published = experiment.published
      && { ...experiment.published, curves: new Map(Object.entries(experiment.published.curves)) };
    return { ...experiment, published, runs: runs.filter((run) => run.curves.size) };
  }).filter((experiment) => experiment.runs.length);
}

/** An experiment in the address and in the list; entries of two types may share a name. */
function keyOf({ group, name }) {
  return `${group}/${name}`;
}

function titles(experiments) {
  return experiments.map((each) => {
    const isAlone = experiments.filter(({ name }) => name === each.name).length === 1;
    return [keyOf(each), isAlone ? each.name : `${each.name} (${each.group})`];
  });
}

/** The runs that have a curve, as many as are drawn at a time. */
function drawnRuns({ runs, published }, curve) {
  const beside = published?.curves.has(curve) ? [published] : [];
  const measured = runs.filter((run) => run.curves.has(curve)).slice(0, data.most - beside.length);
  const name = ({ device }) => device.replace(/^NVIDIA /, "").slice(0, 18);
  return [...measured, ...beside].map((run, i) => ({
    label: `${i + 1}: ${run.label}`, name: `${i + 1}: ${name(run)}`,
    ...run.curves.get(curve),
  }));
}

function timesOf(run) {
  return new Map(run.points.map(([dim, ms]) => [dim, ms]));
}

/** What is drawn of a run: published points have times only, and some have no other to compare. */
function drawnPoints(run, base, quantity) {
  const baseTimes = timesOf(base);
  return run.points
    .map(([dim, ms, tflops]) => (ms === null ? { dim }
      : { dim, p50_ms: ms, tflops, ratio: ms / baseTimes.get(dim) }))
    .filter((point) => point.p50_ms === undefined || quantity === "ms"
      || (quantity === "ratio" ? point.ratio > 0 : point.tflops !== null));
}

/** The medians of all runs at one dimension, and how they compare with those of the base. */
function readout(dimName, curve, runs, dim) {
  const base = timesOf(runs[view.base]).get(dim);
  const facts = runs.flatMap((run, i) => {
    const [, ms, tflops] = run.points.find(([each]) => each === dim) ?? [];
    if (ms === undefined) return [];
    const against = ms && base && i !== view.base
      ? `, ${ratio(ms / base)} the time of run ${view.base + 1}` : "";
    const rate = tflops === null ? "" : `, ${digits(tflops)} TFLOP/s`;
    const value = ms === null ? "no result" : `${time(ms)}${rate}${against}`;
    return [html("dt", {}, `${i + 1}`), html("dd", {}, run.label.replace(/^\d+: /, ""),
      run.providers.length ? html("br") : "", run.providers.join(", "),
      html("br"), html("b", {}, value))];
  });
  document.getElementById("readout").replaceChildren(
    html("h4", {}, `${dimName} ${dim}`), html("p", { class: "note" }, curve),
    html("dl", {}, facts));
}

/** Calls `draw`, and gives the keyboard back to the control that it was at. */
function redraw() {
  const id = document.activeElement?.id;
  draw();
  if (id) document.getElementById(id)?.focus();
}

function choose(changes) {
  Object.assign(chosen, changes);
  writeAddress();
  redraw();
}

function draw() {
  const experiments = offered();
  document.getElementById("overlay").hidden = !experiments.length;
  if (!experiments.length) return;
  const experiment = experiments.find((each) => keyOf(each) === chosen.draw) ?? experiments[0];
  const all = [...experiment.runs, ...(experiment.published ? [experiment.published] : [])];
  const curves = [...new Set(all.flatMap((run) => [...run.curves.keys()]))];
  const curve = curves.includes(chosen.curve) ? chosen.curve : curves[0];
  const runs = drawnRuns(experiment, curve);
  const labels = runs.map((run) => run.label);
  if (labels.join() !== view.labels) {
    Object.assign(view, { labels: labels.join(), hidden: new Set(), base: 0 });
  }
  const ratios = runs.length > 1 ? [["ratio", "Ratio"]] : [];
  const [quantity] = [["tflops"], ...ratios].find(([each]) => each === chosen.show) ?? ["ms"];
  const series = runs
    .map((run, index) => ({
      index, style: index, name: run.name, points: drawnPoints(run, runs[view.base], quantity),
    }))
    .filter((each) => each.points.length);
  const color = (index) => `var(--c${index})`;
  const model = {
    panels: [{ title: curve, series }], xName: experiment.dim_name,
    isOrdinal: experiment.is_sparse, isByCurve: true, color,
    ratioName: `latency over that of ${runs[view.base].name}`,
    size: (point, style) => Math.max(2.5, 5 - style * 0.4), letter: null,
  };
  // A host of its own, so that the observer of the drawing before goes with it.
  const host = html("div");
  document.getElementById("drawing").replaceChildren(host);
  const change = curveChart(host, model,
    (point) => readout(experiment.dim_name, curve, runs, point.dim));
  const numbered = [[null, runs.map((run, i) => [String(i), run.name])]];
  document.getElementById("controls").replaceChildren(
    picker("draw", "Draw", [[null, titles(experiments)]], keyOf(experiment),
      (key) => choose({ draw: key, curve: "" })),
    picker("curve", "Curve", named(curves), curve, (name) => choose({ curve: name })),
    quantityRadios(quantity, (value) => choose({ show: value === "ms" ? "" : value }), ratios),
    quantity === "ratio"
      ? picker("base", "to", numbered, String(view.base),
        (i) => { view.base = Number(i); redraw(); }) : "",
    scaleRadios(view.isLog, (isLog) => { view.isLog = isLog; change({ isLog }); }),
    curveBoxes("Runs", labels, (i) => curveMark(i, color(i)), change, view.hidden));
  change({ quantity, isLog: view.isLog, hidden: view.hidden });
}

themeButton(document.getElementById("theme"));
if (data.runs.length) showFilters(redraw);
