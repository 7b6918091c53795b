// Runs beside a report in a frame: does what a reader would, and writes down what comes of it.

const frame = document.getElementById("page");
const seen = {};
const pause = (ms = 50) => new Promise((resolve) => setTimeout(resolve, ms));

frame.addEventListener("load", async () => {
  try { await look(frame.contentDocument, frame.contentWindow); } catch (error) { seen.failed = String(error.stack); }
  document.getElementById("seen").textContent = JSON.stringify(seen);
});

async function look(page, view) {
  const all = (selector) => [...page.querySelectorAll(selector)];
  const one = (selector) => page.querySelector(selector);
  const readout = () => one("#readout").textContent;
  const heights = () => all(".dot").map((dot) => Math.round(dot.getBoundingClientRect().top)).join();
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
    one("svg.panel").dispatchEvent(new view.PointerEvent("pointermove", { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }));
    seen.hovered = readout();
    seen.narrowest = Math.min(...all("#readout dd").map((value) => value.getBoundingClientRect().width));
    const press = (key) => { one("svg.panel").dispatchEvent(new view.KeyboardEvent("keydown", { key, cancelable: true })); return readout(); };
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
  const medians = all("#table thead th").findIndex((head) => head.textContent === "Median");
  if (medians >= 0) {
    const inMs = (text) => (text === "" ? NaN : parseFloat(text) * (text.endsWith("µs") ? 1e-3 : 1));
    const column = () => all("#table tbody tr").map((row) => inMs(row.children[medians].textContent));
    const head = () => all("#table thead th")[medians];
    const inOrder = (sign) => { const values = column().filter((ms) => !Number.isNaN(ms)); return values.every((ms, i) => i === 0 || sign * (ms - values[i - 1]) >= 0); };
    head().firstChild.click();
    seen.sorted = head().getAttribute("aria-sort");
    seen.ascending = inOrder(1);
    head().firstChild.click();
    seen.descending = inOrder(-1);
    seen.errors_last = column().every((ms, i, values) => !Number.isNaN(ms) || i === values.length - 1 || Number.isNaN(values[i + 1]));
  }
  const filter = one("#filter");
  if (!filter) return;
  filter.value = "ILLEGAL address";
  filter.dispatchEvent(new view.Event("input"));
  seen.filtered = one("#matches").textContent;
  seen.shown = all("#table tbody tr").filter((row) => !row.hidden).length;
}
