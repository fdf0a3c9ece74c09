// The table of runs, a hundred rows at a time, and what is known of one run, on demand.
{
  const PAGE = 100;
  const data = JSON.parse(document.getElementById("runs-data").textContent);
  const keyColumn = data.columns.length - 1;
  const text = (column, row) => { const c = data.columns[column]; return c.texts[c.index[row]]; };
  const value = (column, row) => {
    const c = data.columns[column];
    return c.order ? c.order[c.index[row]] ?? "" : c.texts[c.index[row]];
  };
  const every = data.places.map((_, row) => row);
  let shown = every, from = 0, sorted = null, searched = null, wanted = [];

  const make = (tag, content = "", attributes = {}) => {
    const element = document.createElement(tag);
    if (content !== "") element.append(...[content].flat());
    for (const [name, given] of Object.entries(attributes)) element.setAttribute(name, given);
    return element;
  };
  const link = (key) => make("a", key, { href: `#run-${key}` });

  const table = make("table", "", { id: "table-runs" });
  const headers = data.heads.map((head, column) =>
    make("th", head, { scope: "col", ...(column < data.labels ? { class: "label" } : {}) }));
  const body = make("tbody");
  table.append(make("caption", make("span", "All runs", { id: "caption-runs" })), make("thead", make("tr", headers)), body);
  const frame = make("div", table, { class: "table", role: "region", tabindex: 0, "aria-labelledby": "caption-runs" });
  const status = make("span", "", { role: "status" });
  const previous = make("button", "Previous", { type: "button" });
  const next = make("button", "Next", { type: "button" });

  function draw() {
    const rows = shown.slice(from, from + PAGE).map((row) => make("tr", data.columns.map((_, column) => {
      const content = text(column, row);
      if (column === keyColumn) return make("td", make("code", link(content)), { class: "label" });
      const isLabel = column < data.labels;
      return make(column === 0 ? "th" : "td", content, { ...(column === 0 ? { scope: "row" } : {}), ...(isLabel ? { class: "label" } : {}) });
    })));
    body.replaceChildren(...rows);
    const last = Math.min(from + PAGE, shown.length);
    status.textContent = shown.length ? `${from + 1} to ${last} of ${shown.length} runs` : "No run has all of this.";
    previous.disabled = from === 0;
    next.disabled = last >= shown.length;
  }
  function choose() {
    searched ??= every.map((row) => data.columns.map((_, column) => text(column, row)).join(" ").toLowerCase());
    const found = wanted.length ? every.filter((row) => wanted.every((word) => searched[row].includes(word))) : every;
    shown = sorted
      ? [...found].sort((a, b) => compare(value(sorted.column, a), value(sorted.column, b), sorted.sign))
      : found;
    from = 0;
    draw();
  }
  makeSortable(headers, (column, sign) => { sorted = { column, sign }; choose(); });
  previous.addEventListener("click", () => { from -= PAGE; draw(); });
  next.addEventListener("click", () => { from += PAGE; draw(); });
  const filter = makeFilter(table, "pair, method, setting, key, …", (given) => { wanted = given; choose(); });
  document.getElementById("all-runs").append(filter, frame, make("p", [previous, next, status], { class: "pages" }));
  draw();

  const dialog = document.getElementById("run");
  const facts = (pairs) => make("dl", pairs.filter(([, content]) => content !== null && content !== undefined && content !== "")
    .flatMap(([name, content]) => [make("dt", name), make("dd", content instanceof Node ? content : String(content))]));

  function curve([place, ...accuracies]) {
    const epochs = data.epochs[place];
    const [width, height, left, bottom] = [420, 180, 44, 28];
    const [low, high] = [Math.min(...accuracies), Math.max(...accuracies)];
    const [first, last] = [epochs[0], epochs.at(-1)];
    const x = (epoch) => left + (width - left - 8) * (last > first ? (epoch - first) / (last - first) : 0.5);
    const y = (accuracy) => 8 + (height - bottom - 8) * (high > low ? 1 - (accuracy - low) / (high - low) : 0.5);
    const path = epochs.map((epoch, place) => `${x(epoch).toFixed(1)} ${y(accuracies[place]).toFixed(1)}`).join("L");
    const said = (left, top, words, anchor = "end") => `<text x="${left}" y="${top}" text-anchor="${anchor}">${words}</text>`;
    const drawing = document.createElement("template");
    // Numbers alone go into it.
    drawing.innerHTML = `<svg viewBox="0 0 ${width} ${height}" role="img" class="curve" aria-label="Test top-1 accuracy from ${low} % to ${high} %, at last ${accuracies.at(-1)} %">
      <path d="M${left} 8V${height - bottom}H${width - 8}" class="axis"/><path d="M${path}" class="line"/>
      <circle cx="${x(last)}" cy="${y(accuracies.at(-1))}" r="2.5" class="end"/>
      ${said(left - 5, y(high) + 4, high)}${high > low ? said(left - 5, y(low) + 4, low) : ""}
      ${said(left, height - 8, `epoch ${first}`, "start")}${said(width - 8, height - 8, last)}</svg>`;
    return drawing.content;
  }

  function open(key) {
    const row = every.find((each) => text(keyColumn, each) === key);
    if (row === undefined) return false;
    const run = data.places[row], maker = data.makers[data.made[run]], settings = data.kinds[data.settings[run]];
    const rows = every.filter((each) => data.places[each] === run);
    const name = data.names[run].split("/").at(-1);
    const close = make("button", "Close", { type: "button" });
    close.addEventListener("click", () => dialog.close());
    const parts = [make("h2", ["Run ", make("code", key)], { id: "run-title" }), close,
      facts([
        ...data.heads.slice(0, -1).map((head, column) => [head, rows.length > 1 && column < data.labels
          ? [...new Set(rows.map((each) => text(column, each)))].join("; ") : text(column, row)]),
        ["Folder", make("code", data.names[run])],
        ...Object.entries(data.costs).map(([head, values]) => [head, values[run]?.toLocaleString("en")]),
        ["Started", data.started[run].replace("T", " ")],
        ["Code", maker?.commit && `commit ${maker.commit.slice(0, 12)}${maker.dirty ? " with changes" : ""}`],
        ["Processor", maker?.processor], ["Device", maker?.device],
        ["Versions", maker && Object.entries(JSON.parse(maker.versions ?? "{}")).map((each) => each.join(" ")).join(", ")],
      ]),
      make("h3", "Make it again"),
      make("pre", make("code", `distillery run ${name} --params ${data.params}`), { class: "command", tabindex: 0 })];
    if (data.curves[run]) parts.push(make("h3", "Test top-1 accuracy (%) over the epochs"), curve(data.curves[run]));
    if (settings) parts.push(make("h3", "Settings"), make("pre", make("code", JSON.stringify(settings, null, 1)), { tabindex: 0 }));
    dialog.replaceChildren(...parts);
    if (!dialog.open) dialog.showModal();
    return true;
  }
  const follow = () => {
    if (location.hash.startsWith("#run-")) open(location.hash.slice(5));
    else if (dialog.open) dialog.close();
  };
  // The same link again changes no hash.
  document.addEventListener("click", (event) => {
    const target = event.target.closest('a[href^="#run-"]');
    if (target && target.hash === location.hash) open(target.hash.slice(5));
  });
  window.addEventListener("hashchange", follow);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    if (location.hash.startsWith("#run-")) history.replaceState(null, "", "#runs");
  });
  follow();
}
