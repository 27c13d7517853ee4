// Tables that are sorted here: <table data-sorted>, whose headings have links to ?sort=COLUMN, as
// without this the server does it. A cell's data-value goes before its text; an empty one is last.

const value = (row, at) => {
  const cell = row.cells[at];
  const said = cell.dataset.value ?? cell.textContent.trim();
  return said === "" || said === "–" ? null : said;
};

// Figures as they are written: 9.71 ± 0.12 is 9.71, and "–" is none.
function number(text) {
  return text.startsWith("inf") ? Infinity : parseFloat(text);
}

function order(a, b) {
  const numbers = [number(a), number(b)];
  return numbers.some(Number.isNaN) ? a.localeCompare(b) : numbers[0] - numbers[1];
}

function sort(table, heading) {
  const at = heading.cellIndex;
  const down = heading.getAttribute("aria-sort") === "ascending";
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const known = rows.filter((row) => value(row, at) !== null);
  known.sort((a, b) => order(value(a, at), value(b, at)) * (down ? -1 : 1));
  body.append(...known, ...rows.filter((row) => value(row, at) === null));
  for (const one of heading.parentElement.cells) one.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  return down;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("table[data-sorted] thead a");
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const down = sort(link.closest("table"), link.closest("th"));
  // What is drawn again by the server stays in this order.
  const address = new URL(location.href);
  const column = new URL(link.href).searchParams.get("sort").replace(/^-/, "");
  address.searchParams.set("sort", (down ? "-" : "") + column);
  history.replaceState(history.state, "", address);
});
