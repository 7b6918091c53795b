// Bars: a list per panel, a bar per way to compute. Names and values are text beside them.

/**
 * Draws `panels` of `{title, points}` into `host`. With `isShared` all panels have one scale.
 * `show(point)` is called with what is under the pointer or has the focus. Hands back a function
 * that draws in another `quantity`.
 */
function barChart(host, { panels, isShared, color, text }, show) {
  const draw = ({ quantity }) => {
    const value = (point) => (quantity === "ms" ? point.p50_ms : point.tflops);
    const largest = (points) => Math.max(...points.map((point) => value(point) ?? 0), 0);
    const all = largest(panels.flatMap((panel) => panel.points));
    const shown = quantity === "ms" ? "median latency" : "throughput";
    host.replaceChildren(...panels.map((panel) => {
      const most = isShared ? all : largest(panel.points);
      return html("section", { class: "bars" }, html("h3", {}, panel.title),
        html("ul", { "aria-label": `${panel.title}, ${shown}` },
          panel.points.map((point) => bar(point, value(point), most))));
    }));
  };
  const bar = (point, value, most) => {
    const isTime = value === point.p50_ms;
    const name = html("span", { class: "name" }, point.bar);
    const failed = value === undefined;
    // Beside the longest bar there has to be room for its value.
    const width = failed || !most ? 0 : (value / most) * 100;
    const length = `${width.toFixed(2)}% - ${(0.155 * width).toFixed(2)}rem`;
    const track = failed
      ? html("span", { class: "track" },
        html("span", { class: "value" }, `✕ ${point.error_kind}: `,
          html("span", {}, text(point.error))))
      : html("span", { class: "track" },
        html("span",
          { class: "fill", style: `width: calc(${length}); background: ${color(point)}` }),
        html("span", { class: "value" },
          html("b", {}, isTime ? time(value) : `${digits(value)} TFLOP/s`),
          point.verdict ? html("span", {}, ` ${point.verdict}`) : null));
    const item = html("li", { class: "bar", tabindex: 0 }, name, track);
    const choose = () => {
      host.querySelector("[aria-current]")?.removeAttribute("aria-current");
      item.setAttribute("aria-current", "true");
      show(point);
    };
    item.addEventListener("pointerenter", choose);
    item.addEventListener("focus", choose);
    return item;
  };
  return draw;
}
