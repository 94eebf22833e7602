// The page reads the same without this: it adds filters and sorting to long tables, opens the folder of a row
// that a link leads to, and everything for print.
"use strict";

for (const table of document.querySelectorAll("table[data-tools]")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  if (rows.length < 8) continue;

  const label = document.createElement("label");
  label.className = "filter";
  label.append("Show rows with");
  const input = document.createElement("input");
  input.type = "search";
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  label.append(input);
  table.closest(".box").before(label);
  if (table.dataset.tools === "filter") continue;

  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sorter";
    button.append(...head.childNodes);
    head.append(button);
    const isNumber = head.classList.contains("number");
    const key = (row) => {
      const text = row.cells[column].textContent.trim();
      return isNumber ? Number(text.replaceAll(",", "")) : text;
    };
    button.addEventListener("click", () => {
      // Numbers are asked for the largest first, words from A.
      const falling = head.ariaSort ? head.ariaSort === "ascending" : isNumber;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const order = (a, b) => (isNumber ? a - b : a.localeCompare(b));
      body.append(...[...rows].sort((a, b) => order(key(a), key(b)) * (falling ? -1 : 1)));
    });
  });
}

// A row that a link leads to may be in a folder that is closed.
const reveal = () => {
  const target = document.getElementById(location.hash.slice(1));
  const closed = target?.closest("details:not([open])");
  if (!closed) return;
  closed.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", reveal);
reveal();

let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const one of opened) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of opened) one.open = false;
});
