// Elements. Text enters the page as text nodes only, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fillIn(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** An HTML element: attributes, `on<event>` listeners, children or texts. */
function html(tag, attributes = {}, ...children) {
  return fillIn(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function svg(tag, attributes = {}, ...children) {
  return fillIn(document.createElementNS(SVG, tag), attributes, children);
}

/** Data of the page: inert JSON that the report wrote. */
function pageData() {
  return JSON.parse(document.getElementById("data").textContent);
}

/** Light, dark, or what the system prefers until the button is pressed. */
function themeButton(button) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const label = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
  });
  dark.addEventListener("change", label);
  label();
}

/** Radio buttons as a fieldset; `choose` gets the value picked. */
function radios(legend, name, options, chosen, choose) {
  const label = ([value, text]) => html("label", {},
    html("input",
      { type: "radio", name, value, id: `${name}-${value}`, checked: value === chosen,
        onchange: () => choose(value) }),
    text);
  return html("fieldset", {}, html("legend", {}, legend), options.map(label));
}

/**
 * Check boxes as a fieldset, on but for those whose indices are `off`; `toggle` gets an index and
 * whether it is on. `mark` draws what stands beside.
 */
function checkboxes(legend, texts, mark, toggle, off) {
  const label = (text, index) => html("label", {},
    html("input", {
      type: "checkbox", checked: !off.has(index),
      onchange: (event) => toggle(index, event.target.checked),
    }),
    mark(index), text);
  return html("fieldset", {}, html("legend", {}, legend), texts.map(label));
}
