// The index: one curve of one experiment, as several runs measured it.

const experiments = pageData();
const state = { experiment: 0, curve: null, quantity: "ms", isLog: false };

/** Names of the curves that any run has. */
function curveNames(experiment) {
  return [...new Set(experiment.runs.flatMap((run) => Object.keys(run.curves)))];
}

function select(label, options, chosen, choose) {
  const list = html("select", { onchange: (event) => choose(event.target.selectedIndex) },
    options.map((text, i) => html("option", { selected: i === chosen }, text)));
  return html("label", {}, `${label} `, list);
}

/** The medians of all runs at one dimension, and how they compare with the first's. */
function readout(experiment, curve, dim) {
  const facts = experiment.runs.flatMap((run) => {
    const [, ms, tflops] = run.curves[curve]?.find(([each]) => each === dim) ?? [];
    if (ms === undefined) return [];
    const first = experiment.runs[0].curves[curve]?.find(([each]) => each === dim)?.[1];
    const against = first && run !== experiment.runs[0] ? `, ${ratio(ms / first)} the first` : "";
    const rate = tflops === null ? "" : `, ${digits(tflops)} TFLOP/s`;
    const value = ms === null ? "no result" : `${time(ms)}${rate}${against}`;
    return [html("dt", {}, `${experiment.runs.indexOf(run) + 1}`),
      html("dd", {}, run.label, html("br"), html("b", {}, value))];
  });
  document.getElementById("readout").replaceChildren(
    html("h4", {}, `${experiment.dim_name} ${dim}`), html("p", { class: "note" }, curve),
      html("dl", {}, facts));
}

function draw() {
  const experiment = experiments[state.experiment];
  const curves = curveNames(experiment);
  const curve = curves.includes(state.curve) ? state.curve : curves[0];
  const series = experiment.runs.map((run, index) => ({
    index, style: index, name: `run ${index + 1}`,
    points: (run.curves[curve] ?? [])
      // Published points have times only.
      .filter(([, ms, tflops]) => ms === null || state.quantity === "ms" || tflops !== null)
      .map(([dim, ms, tflops]) => (ms === null ? { dim } : { dim, p50_ms: ms, tflops })),
  })).filter((each) => each.points.length);
  const color = (index) => `var(--c${index})`;
  const model = {
    panels: [{ title: curve, series }], xName: experiment.dim_name,
    isOrdinal: experiment.is_sparse, isByCurve: true,
    color, size: (point, style) => Math.max(2.5, 5 - style * 0.4), letter: null,
  };
  const labels = experiment.runs.map((run, i) => `${i + 1}: ${run.label}`);
  // A host of its own, so that the observer of the drawing before goes with it.
  const host = html("div");
  document.getElementById("drawing").replaceChildren(host);
  const change = curveChart(host, model, (point) => readout(experiment, curve, point.dim));
  document.getElementById("controls").replaceChildren(
    select("Experiment", experiments.map((each) => each.name), state.experiment,
      (i) => { state.experiment = i; draw(); }),
    select("Curve", curves, curves.indexOf(curve), (i) => { state.curve = curves[i]; draw(); }),
    quantityRadios(state.quantity, (quantity) => { state.quantity = quantity; draw(); }),
    scaleRadios(state.isLog, (isLog) => { state.isLog = isLog; change({ isLog }); }),
    curveBoxes("Runs", labels, (i) => curveMark(i, color(i)), change));
  change({ quantity: state.quantity, isLog: state.isLog });
}

themeButton(document.getElementById("theme"));
if (experiments.length) {
  document.getElementById("overlay").hidden = false;
  draw();
}
