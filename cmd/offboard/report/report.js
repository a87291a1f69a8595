"use strict";
(() => {
  const table = document.getElementById("all"), body = table.tBodies[0];
  const rows = Array.from(body.rows), text = new Map(), shown = document.getElementById("shown");
  const words = row => {
    if (!text.has(row)) text.set(row, row.textContent.toLowerCase());
    return text.get(row);
  };
  const find = wanted => {
    let n = 0;
    for (const row of rows) {
      row.hidden = !wanted.every(w => words(row).includes(w));
      if (!row.hidden) n++;
    }
    shown.textContent = n + " of " + rows.length;
  };
  let waiting;
  document.getElementById("search").addEventListener("input", e => {
    clearTimeout(waiting);
    const wanted = e.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    waiting = setTimeout(find, 150, wanted);
  });
  const order = new Intl.Collator(undefined, {numeric: true});
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(h => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keys = new Map(rows.map(row => [row, row.cells[i].textContent]));
      rows.sort((a, b) => (down ? -1 : 1) * order.compare(keys.get(a), keys.get(b)));
      body.append(...rows);
    });
  });
  find([]);
})();
