// Sorts tables by a click on a column's header, and filters them by text. The page works without.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const value = (row, column) => row.cells[column].dataset.order ?? row.cells[column].textContent.trim();
  const compare = (a, b) => (a !== "" && b !== "" && !isNaN(a) && !isNaN(b)) ? a - b : a.localeCompare(b);
  [...table.tHead.rows].at(-1).querySelectorAll("th").forEach((header, column) => {
    const button = document.createElement("button");
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const sign = header.ariaSort === "ascending" ? -1 : 1;
      table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      header.ariaSort = sign > 0 ? "ascending" : "descending";
      const rows = [...body.rows].sort((a, b) => sign * compare(value(a, column), value(b, column)));
      body.append(...rows);
    });
  });
}
for (const input of document.querySelectorAll("input[type=search]")) {
  input.parentElement.hidden = false;
  const rows = document.getElementById(input.getAttribute("aria-controls")).tBodies[0].rows;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
