// What is told of the chosen size is what its row of the table says: the page has it once. Cells are
// found by data-col of their headings; <td class="have"> has the link to its page.
const row = (size) => [...document.querySelectorAll("table[data-sorted] tbody tr")].find((one) => one.dataset.size === size);

function tell(size) {
  const about = document.getElementById("chosen");
  const from = row(size);
  if (!about || !from) return;
  const columns = [...from.closest("table").tHead.rows[0].cells].map((cell) => cell.dataset.col);
  const cell = (name) => from.cells[columns.indexOf(name)];
  for (const one of about.querySelectorAll("[data-cell]")) {
    const copy = cell(one.dataset.cell).cloneNode(true);
    for (const link of copy.querySelectorAll("a")) link.replaceWith(...link.childNodes);
    for (const told of copy.querySelectorAll("[data-told]")) told.remove();
    one.replaceChildren(...copy.childNodes);
  }
  const side = from.dataset.side ? `the ${from.dataset.side}, ` : "";
  const parameters = Number(cell("parameters").dataset.value).toLocaleString("en-US");
  about.querySelector("[data-made]").textContent = `${side}${cell("layers").textContent} layers, ${parameters} parameters`;
  about.querySelector("[data-fits]").textContent = cell("memory").dataset.fits;
  about.querySelector("[data-why]").replaceChildren(...[...from.querySelectorAll("[data-told]")].map((told) => {
    const line = document.createElement("p");
    line.className = told.dataset.told;
    line.textContent = told.textContent;
    return line;
  }));
  const page = from.querySelector(".have a");
  for (const link of about.querySelectorAll("a[data-link]")) {
    if (link.dataset.link === "page") link.href = page.href;
    else if (link.dataset.link === "tar") link.href = `${page.href}&download=tar`;
    else {
      const at = new URL(link.href);
      at.searchParams.set("size", size);
      link.href = at;
    }
  }
}

document.addEventListener("boomerang:size", (event) => tell(event.detail));
