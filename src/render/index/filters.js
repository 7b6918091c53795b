// Which runs are shown: by device, experiment and provider. The address has what is chosen, so that
// a filtered view can be linked.

const data = pageData();

/**
 * What is chosen by hand: filters, and the experiment, curve and quantity that are drawn; "" is
 * all, or the first there is.
 */
const chosen = { device: "", experiment: "", provider: "", draw: "", curve: "", show: "" };

/** A list to choose from. `groups`: `[title, options]`, without a title if that is null. */
function picker(id, label, groups, value, choose) {
  const group = ([title, options]) => {
    const inside = options.map(([value, text]) => html("option", { value }, text));
    return title === null ? inside : html("optgroup", { label: title }, inside);
  };
  const list = html("select",
    { id, onchange: (event) => choose(event.target.value) }, groups.map(group));
  list.value = value;
  return html("label", {}, `${label} `, list);
}

/** Without "", which no option can stand for: it is all. */
function unique(values) {
  const inOrder = (a, b) => a.localeCompare(b, "en", { numeric: true });
  return [...new Set(values)].filter(Boolean).sort(inOrder);
}

/** The experiments by group; where a group has several, all of them are an option too. */
function byGroup() {
  return unique(data.runs.map((run) => run.group)).map((group) => {
    const names =
      unique(data.runs.filter((run) => run.group === group).map((run) => run.experiment));
    const options = names.map((name) => [`${group}/${name}`, name]);
    return [group, names.length > 1 ? [[`${group}/`, `all of ${group}`], ...options] : options];
  });
}

/** Options that are called what they are, in a single group. */
function named(values) {
  return [[null, values.map((value) => [value, value])]];
}

/** The label of each filter, and what it offers besides all. */
const FILTERS = {
  device: ["Device", named(unique(data.runs.map((run) => run.device)))],
  experiment: ["Experiment", byGroup()],
  provider: ["Kernels of", named(unique(data.runs.flatMap((run) => run.providers)))],
};

function passes({ device, group, experiment, providers }) {
  return (!chosen.device || chosen.device === device)
    && (!chosen.experiment || [`${group}/`, `${group}/${experiment}`].includes(chosen.experiment))
    && (!chosen.provider || providers.includes(chosen.provider));
}

/** Takes over what the address says, if it is among the options. */
function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  for (const key of Object.keys(chosen)) {
    const [, groups] = FILTERS[key] ?? [];
    const value = said.get(key) ?? "";
    const isKnown = !groups
      || groups.some(([, options]) => options.some(([option]) => option === value));
    chosen[key] = isKnown ? value : "";
  }
}

function writeAddress() {
  const said = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value));
  history.replaceState(null, "", `#${said}`);
}

/** Hides the rows of the other runs, and says how many are left. */
function filterRows() {
  const rows = document.querySelectorAll("#runs tbody tr");
  const shown = data.runs.filter((run, i) => {
    rows[i].hidden = !passes(run);
    return !rows[i].hidden;
  }).length;
  const all = rows.length;
  document.getElementById("shown").textContent = shown === 0
    ? `None of ${all} runs: no run has all that is chosen. Set a filter to all.`
    : `${shown} of ${all} runs shown`;
}

/** Puts the filters there; `changed` is called after each change. */
function showFilters(changed) {
  const apply = () => {
    const pickers = Object.entries(FILTERS).map(([key, [label, groups]]) =>
      picker(key, label, [[null, [["", "all"]]], ...groups], chosen[key], (value) => {
        chosen[key] = value;
        writeAddress();
        filterRows();
        changed();
      }));
    const host = document.getElementById("filters");
    host.replaceChildren(...pickers);
    host.hidden = document.getElementById("shown").hidden = false;
    filterRows();
    changed();
  };
  addEventListener("hashchange", () => { readAddress(); apply(); });
  readAddress();
  apply();
}
