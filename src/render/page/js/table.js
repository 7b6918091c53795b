// A table that sorts by any column and filters by words.

/**
 * Fills `table` with a row per record. `columns`: `{title, key(record), text(record), isNumber,
 * isName, isWords}`, `key` a number, a string or undefined (last either way); `words(record)` is
 * searched by the filter on top of what is shown.
 */
function sortedTable(table, columns, records, { filter, status, words }) {
  const kind = (column) =>
    (column.isNumber ? "number" : column.isName ? "names" : column.isWords && "words");
  const rows = records.map((record) => {
    const cells = columns.map((column) => html("td", { class: kind(column) }, column.text(record)));
    const row = html("tr", {}, cells);
    return { record, row, words: `${row.textContent} ${words(record)}`.toLowerCase() };
  });
  const body = html("tbody", {}, rows.map(({ row }) => row));
  const heads =
    columns.map((column) => html("th", { scope: "col", class: column.isNumber && "number" },
    html("button", { type: "button", onclick: () => sort(column) }, column.title)));
  table.append(
    html("caption", { class: "unseen" }, "All points; the buttons in the first row sort"),
      html("thead", {}, html("tr", {}, heads)), body);

  let sorted = { column: null, sign: 1 };
  const sort = (column) => {
    sorted = { column, sign: sorted.column === column ? -sorted.sign : 1 };
    heads.forEach((head, i) => {
      if (columns[i] === column) head.setAttribute("aria-sort",
        sorted.sign > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    const compare = (a, b) => {
      const [x, y] = [column.key(a.record), column.key(b.record)];
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      return sorted.sign * (typeof x === "number" ? x - y
        : String(x).localeCompare(String(y), "en", { numeric: true }));
    };
    body.append(...[...rows].sort(compare).map(({ row }) => row));
  };

  // A row stays if it has every word.
  const narrow = () => {
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const each of rows) {
      each.row.hidden = !wanted.every((word) => each.words.includes(word));
      if (!each.row.hidden) shown++;
    }
    status.textContent = shown === rows.length ? `${rows.length} rows`
      : `${shown} of ${rows.length} rows`;
  };
  filter.addEventListener("input", narrow);
  narrow();
}
