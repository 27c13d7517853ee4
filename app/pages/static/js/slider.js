// One size of several is chosen: by a slider that snaps to them, by a link, or on a curve.
//
// The slider is <input type="range" data-sizes="A B C" data-places="0 412 1000">, names and where
// they stand on it. Links with data-choose="A" choose too. Whatever has data-size="A" is of class
// `chosen` while A is, fields with data-chosen have its name as their value, and the page's address
// has it as ?size=. Others hear of it as `boomerang:size` on the document, the name in `detail`, and
// may send that themselves.
const EVENT = "boomerang:size";
const sliders = () => document.querySelectorAll("input[type=range][data-sizes]");
const sizes = (slider) => slider.dataset.sizes.split(" ");
const places = (slider) => slider.dataset.places.split(" ").map(Number);

function nearest(slider) {
  const far = places(slider).map((place) => Math.abs(place - slider.valueAsNumber));
  return far.indexOf(Math.min(...far));
}

function choose(size) {
  document.dispatchEvent(new CustomEvent(EVENT, { detail: size, cancelable: true }));
}

function show(size) {
  for (const one of document.querySelectorAll("[data-size]")) {
    one.classList.toggle("chosen", one.dataset.size === size);
  }
  for (const link of document.querySelectorAll("[data-choose]")) {
    if (link.dataset.choose === size) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  for (const field of document.querySelectorAll("[data-chosen]")) field.value = size;
  for (const slider of sliders()) {
    const at = sizes(slider).indexOf(size);
    if (at < 0) continue;
    slider.value = places(slider)[at];
    slider.setAttribute("aria-valuetext", size);
  }
}

function prepare() {
  for (const slider of sliders()) slider.closest("[hidden]")?.removeAttribute("hidden");
}

document.addEventListener(EVENT, (event) => {
  event.preventDefault(); // it is shown here: no page is asked for
  show(event.detail);
  const address = new URL(location.href);
  address.searchParams.set("size", event.detail);
  history.replaceState(history.state, "", address);
});
document.addEventListener("input", ({ target }) => {
  if (!target.matches?.("input[type=range][data-sizes]")) return;
  const at = nearest(target);
  target.value = places(target)[at];
  if (target.getAttribute("aria-valuetext") !== sizes(target)[at]) choose(sizes(target)[at]);
});
document.addEventListener("keydown", (event) => {
  const slider = event.target;
  if (!slider.matches?.("input[type=range][data-sizes]")) return;
  const at = nearest(slider), last = sizes(slider).length - 1;
  const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1,
    PageDown: at - 3, PageUp: at + 3, Home: 0, End: last }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  choose(sizes(slider)[Math.min(last, Math.max(0, to))]);
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-choose]");
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(link.dataset.choose);
});

prepare();
for (const drawn of ["htmx:load", "part:drawn"]) document.addEventListener(drawn, prepare);
