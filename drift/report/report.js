"use strict";
// Sorts and filters the table of videos. Without it the page is complete, worst videos first.
(() => {
  const table = document.getElementById("videos");
  if (!table) return;
  const rows = Array.from(table.tBodies);
  const heads = Array.from(table.tHead.rows[0].cells);
  const controls = document.getElementById("controls");
  const [find, order, direction, shown] =
    ["find", "order", "direction", "shown"].map((id) => document.getElementById(id));
  const compareText = new Intl.Collator(undefined, { numeric: true }).compare;

  const sort = (column, up) => {
    const text = heads[column].dataset.kind === "text";
    const value = (row) => row.rows[0].cells[column].dataset.value;
    const keys = new Map(rows.map((row) => [row, text ? value(row) : Number(value(row))]));
    const compare = text ? compareText : (a, b) => a - b;
    rows.sort((a, b) => (up ? 1 : -1) * compare(keys.get(a), keys.get(b)) || a.dataset.rank - b.dataset.rank);
    table.append(...rows);
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    order.value = `${column} ${up ? "up" : "down"}`;
  };

  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = direction.value;
    let count = 0;
    for (const row of rows) {
      const text = row.dataset.text;
      const labels = row.dataset.labels.split(" ");
      row.hidden = !(words.every((word) => text.includes(word)) && (!wanted || labels.includes(wanted)));
      count += !row.hidden;
    }
    shown.textContent = `${count} of ${rows.length} shown`;
  };

  heads.forEach((head, column) => {
    if (!head.dataset.kind) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const text = head.dataset.kind === "text";
      sort(column, now ? now === "descending" : text);
    });
  });
  // An open video shows its picture large.
  table.addEventListener("toggle", (event) => {
    const body = event.target.closest("tbody");
    const picture = body.querySelector(".row .strip");
    const about = body.querySelector(".about");
    if (picture && about && !about.querySelector(".strip")) about.append(picture.cloneNode());
  }, true);
  table.addEventListener("click", (event) => {
    const details = event.target.closest(".row")?.querySelector("details");
    if (details && !event.target.closest("summary") && !String(getSelection())) details.open = !details.open;
  });
  order.addEventListener("change", () => {
    const [column, way] = order.value.split(" ");
    sort(Number(column), way === "up");
  });
  find.addEventListener("input", filter);
  direction.addEventListener("change", filter);
  controls.hidden = false;
  // A reload may keep what was typed.
  filter();
})();
