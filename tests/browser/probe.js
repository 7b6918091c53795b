// Runs beside a report in a frame: does what a reader would, and writes down what comes of it.

const frame = document.getElementById("page");
const seen = {};
const pause = (ms = 50) => new Promise((resolve) => setTimeout(resolve, ms));

frame.addEventListener("load", async () => {
  await look(frame.contentDocument, frame.contentWindow).catch((error) => {
    seen.failed = String(error.stack);
  });
  document.getElementById("seen").textContent = JSON.stringify(seen);
});

async function look(page, view) {
  const all = (selector) => [...page.querySelectorAll(selector)];
  const one = (selector) => page.querySelector(selector);
  const readout = () => one("#readout").textContent;
  const top = (dot) => Math.round(dot.getBoundingClientRect().top);
  const heights = () => all(".dot").map(top).join();
  const choose = async (selector) => { one(selector)?.click(); await pause(); };
  await pause(200);

  seen.panels = all("svg.panel").length;
  seen.dots = all(".dot").length;
  seen.crosses = all(".cross").length;
  seen.bars = all(".bar").length;
  seen.live = one("#readout").getAttribute("aria-live");
  seen.scripts = all("script").length;
  seen.images = all("img").length;
  seen.broken = view.broken !== undefined;
  seen.too_wide = page.documentElement.scrollWidth > page.documentElement.clientWidth;

  if (seen.dots) {
    const box = one(".dot").getBoundingClientRect();
    const at = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
    one("svg.panel").dispatchEvent(new view.PointerEvent("pointermove", at));
    seen.hovered = readout();
    const width = (value) => value.getBoundingClientRect().width;
    seen.narrowest = Math.min(...all("#readout dd").map(width));
    const press = (key) => {
      const event = new view.KeyboardEvent("keydown", { key, cancelable: true });
      one("svg.panel").dispatchEvent(event);
      return readout();
    };
    seen.key_right = press("ArrowRight");
    seen.key_end = press("End");
    press("ArrowDown");
    press("ArrowUp");

    seen.unit = one("svg.panel").textContent;
    seen.heights = heights();
    await choose("input[value=log]");
    seen.heights_log = heights();
    await choose("input[value=linear]");
    await choose("input[value=tflops]");
    seen.unit_tflops = one("svg.panel").textContent;
    await choose("#controls input[type=checkbox]");
    seen.dots_one_off = all(".dot").length + all(".cross").length;
  } else if (seen.bars) {
    one(".bar").focus();
    seen.bar = readout();
    await choose("input[value=tflops]");
  }

  seen.themes = [];
  for (let i = 0; i < 2; i++) {
    seen.themes.push(view.getComputedStyle(page.body).backgroundColor);
    one("#theme").click();
  }

  seen.rows = (one("#table") ? all("#table tbody tr") : all("tbody tr")).length;
  const heads = () => all("#table thead th");
  const medians = heads().findIndex((head) => head.textContent === "Median");
  if (medians >= 0) {
    const unit = (text) => (text.endsWith("µs") ? 1e-3 : 1);
    const inMs = (text) => (text === "" ? NaN : parseFloat(text) * unit(text));
    const median = (row) => inMs(row.children[medians].textContent);
    const column = () => all("#table tbody tr").map(median);
    const head = () => heads()[medians];
    const inOrder = (sign) => {
      const times = column().filter((ms) => !Number.isNaN(ms));
      return times.every((ms, i) => i === 0 || sign * (ms - times[i - 1]) >= 0);
    };
    head().firstChild.click();
    seen.sorted = head().getAttribute("aria-sort");
    seen.ascending = inOrder(1);
    head().firstChild.click();
    seen.descending = inOrder(-1);
    const missing = column().map(Number.isNaN);
    seen.errors_last = missing.every((is, i) => !is || missing.slice(i).every(Boolean));
  }
  if (one("#filters")) await lookAtFilters(page, view);
  const filter = one("#filter");
  if (!filter) return;
  filter.value = "ILLEGAL address";
  filter.dispatchEvent(new view.Event("input"));
  seen.filtered = one("#matches").textContent;
  seen.shown = all("#table tbody tr").filter((row) => !row.hidden).length;
}

/** The filters of an index. */
async function lookAtFilters(page, view) {
  const one = (selector) => page.querySelector(selector);
  const all = (selector) => [...page.querySelectorAll(selector)];
  const shown = () => one("#shown").textContent;
  const rows = () => all("#runs tbody tr").filter((row) => !row.hidden).length;
  const legend = () => all("#controls label:has([type=checkbox])").map((each) => each.textContent);
  const said = (key) => new URLSearchParams(view.location.hash.slice(1)).get(key);
  const pick = async (id, find) => {
    const list = one(`#${id}`);
    list.value = [...list.options].map((option) => option.value).find(find);
    list.focus();
    list.dispatchEvent(new view.Event("change"));
    await pause();
  };
  seen.shown_first = shown();
  seen.labels = all("#filters label").map((label) => label.firstChild.textContent.trim());
  seen.legend_first = legend();
  if (one("#quantity-ratio")) {
    one("#quantity-ratio").click();
    await pause();
    // One is off since before, and stays so until it is clicked.
    one("#controls input[type=checkbox]:not(:checked)")?.click();
    seen.ratio = one("svg.panel").textContent;
    seen.ratio_dots = all(".dot").length;
  }
  await pick("device", (value) => value.startsWith("New"));
  seen.shown_device = shown();
  seen.rows_device = rows();
  seen.hash_device = said("device");
  seen.legend_device = legend();
  await pick("device", (value) => value.startsWith("New"));
  seen.focused = [page.activeElement.id];
  await pick("curve", () => true);
  seen.focused.push(page.activeElement.id);
  await pick("provider", (value) => value === "pytorch");
  seen.shown_none = shown();
  seen.rows_none = rows();
  seen.is_drawn_none = !one("#overlay").hidden;
  view.location.hash = "#provider=pytorch&curve=MATH";
  await pause(200);
  seen.shown_link = shown();
  seen.drawn_link = one("#draw").value;
  seen.curve_link = one("#curve").value;
}
