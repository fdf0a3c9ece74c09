// Sorts tables by a click on a column's header, and filters them by text. The page works without.
const MANY_ROWS = 12;

// Missing values come last, whichever way.
function compare(a, b, sign) {
  const missing = (value) => value === "" || value === "–" || value === "-Infinity";
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  return sign * (!isNaN(a) && !isNaN(b) ? a - b : String(a).localeCompare(String(b)));
}

function makeSortable(headers, sort) {
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const sign = header.ariaSort === "ascending" ? -1 : 1;
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.ariaSort = sign > 0 ? "ascending" : "descending";
      sort(column, sign);
    });
  });
}

function words(text) {
  return text.toLowerCase().split(/\s+/).filter(Boolean);
}

function makeFilter(target, hint, filter) {
  const line = document.createElement("p"), label = document.createElement("label");
  const input = document.createElement("input");
  line.className = "filter";
  input.type = "search";
  input.placeholder = hint;
  input.setAttribute("aria-controls", target.id);
  label.append("Show rows with ", input);
  line.append(label);
  let waiting;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => filter(words(input.value)), 60);
  });
  return line;
}

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const value = (row, column) => row.cells[column].dataset.order ?? row.cells[column].textContent.trim();
  makeSortable([...[...table.tHead.rows].at(-1).cells], (column, sign) => {
    body.append(...[...body.rows].sort((a, b) => compare(value(a, column), value(b, column), sign)));
  });
  if (body.rows.length > MANY_ROWS) {
    const line = makeFilter(table, "pair, method, …", (wanted) => {
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !wanted.every((word) => text.includes(word));
      }
    });
    table.parentElement.before(line);
  }
}

// On a narrow screen the menu is closed until it is asked for.
const menu = document.querySelector("nav details");
const narrow = matchMedia("(max-width: 60rem)");
const fold = () => { menu.open = !narrow.matches; };
narrow.addEventListener("change", fold);
menu.addEventListener("click", (event) => {
  if (narrow.matches && event.target.closest("a")) menu.open = false;
});
fold();
