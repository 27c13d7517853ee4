// Curves that answer a pointer and the arrow keys. Without this every point is a link with a title.
//
// The size that is looked at is shared by whatever shows one: `boomerang:size` on the document,
// its name in `detail`. Who shows it without another page calls preventDefault.
const EVENT = "boomerang:size";
let looked = null;

const tip = document.createElement("div");
tip.className = "chart-tip";
tip.hidden = true;
// What it says is the link's own name: read when the link has the focus.
tip.setAttribute("aria-hidden", "true");
document.body.append(tip);

const points = (chart) => [...chart.querySelectorAll(".point")];
const linkOf = (point) => point.querySelector("a");
const middle = (point) => {
  const box = point.querySelector(".hit").getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
};

function prepare(root) {
  for (const title of root.querySelectorAll(".chart .point title")) {
    // The browser's own tooltip would stand over ours.
    title.parentNode.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  if (looked) choose(looked, root);
  for (const chart of root.querySelectorAll(".chart.quality")) rove(chart);
}

// One stop for the tab key in each chart: the chosen size, or the first.
function rove(chart, to) {
  const all = points(chart).filter(linkOf);
  const held = all.find((point) => point.contains(document.activeElement));
  const stop = to ?? held ?? all.find((point) => point.classList.contains("chosen")) ?? all[0];
  for (const point of all) linkOf(point).setAttribute("tabindex", point === stop ? "0" : "-1");
}

function choose(size, root = document) {
  looked = size;
  for (const one of root.querySelectorAll(".chart [data-size]")) {
    one.classList.toggle("chosen", one.dataset.size === size);
  }
}

function show(point) {
  hide();
  const said = (point.firstElementChild?.getAttribute("aria-label") ?? "").split(/: (.*)/s);
  const name = document.createElement("strong");
  name.textContent = said[0];
  const facts = (said[1] ?? "").split("; ").map((text) => {
    const line = document.createElement("span");
    line.textContent = text;
    return line;
  });
  tip.replaceChildren(name, ...facts);
  tip.hidden = false;
  point.classList.add("near");
  const [x, y] = middle(point);
  const left = Math.min(Math.max(8, x - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
  const above = y - tip.offsetHeight - 16;
  tip.style.translate = `${Math.round(left)}px ${Math.round(above < 8 ? y + 16 : above)}px`;
}

function hide() {
  tip.hidden = true;
  for (const point of document.querySelectorAll(".chart .near")) point.classList.remove("near");
}

// Across alone: whoever is anywhere above or below a size means it.
function nearest(chart, x) {
  const far = points(chart).map((point) => [Math.abs(middle(point)[0] - x), point]);
  return far.sort((a, b) => a[0] - b[0])[0]?.[1];
}

function ask(size, event) {
  const asked = new CustomEvent(EVENT, { detail: size, cancelable: true });
  if (!document.dispatchEvent(asked)) event.preventDefault();
}

document.addEventListener(EVENT, (event) => {
  choose(event.detail);
  for (const chart of document.querySelectorAll(".chart.quality")) {
    if (!chart.contains(document.activeElement)) rove(chart);
  }
});
document.addEventListener("pointermove", (event) => {
  const chart = event.target.closest?.(".chart.quality");
  const point = chart && nearest(chart, event.clientX);
  if (point) show(point);
  else if (!tip.hidden && !document.activeElement?.closest?.(".chart .point")) hide();
});
document.addEventListener("focusin", (event) => {
  const point = event.target.closest?.(".chart .point");
  if (point && event.target.matches(":focus-visible")) show(point);
  else hide();
});
document.addEventListener("scroll", hide, { capture: true, passive: true });
document.addEventListener("click", (event) => {
  const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey);
  const chart = event.target.closest?.(".chart.quality");
  const point = plain && chart && (event.target.closest(".point") ?? nearest(chart, event.clientX));
  if (!point || !linkOf(point)) return;
  ask(point.dataset.size, event);
  // Beside a point, where the link itself was not pressed.
  if (!event.defaultPrevented && !event.target.closest("a")) location.assign(linkOf(point).href.baseVal);
});
document.addEventListener("keydown", (event) => {
  const point = event.target.closest?.(".chart .point");
  if (event.key === "Escape") hide();
  if (!point) return;
  const all = points(point.closest(".chart")).filter(linkOf)
    .sort((a, b) => middle(a)[0] - middle(b)[0]);
  const here = all.indexOf(point);
  const to = { ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1,
    Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const next = all[Math.min(all.length - 1, Math.max(0, to))];
  rove(next.closest(".chart"), next);
  linkOf(next).focus();
  show(next);
});

prepare(document);
for (const drawn of ["htmx:load", "part:drawn"]) {
  document.addEventListener(drawn, (event) => prepare(event.target));
}
