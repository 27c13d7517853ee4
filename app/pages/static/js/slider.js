// A slider that snaps to real sizes. It is an element with data-slider and data-sizes (a JSON list of
// objects, each with its `size`) around an <input type="range">. In the closest [data-sizes-of] it
// writes what the chosen one says into [data-show="FIELD"] (`a.b` for nested ones), marks
// [data-size="NAME"] with the class `chosen`, checks a radio of that value and marks the [data-device]
// that hold it. Charts hear "boomerang:size" on the document, and others may send it to move the slider.

const told = "boomerang:size";

export function enhance(root = document) {
  for (const slider of root.querySelectorAll("[data-slider]:not([data-ready])")) begin(slider);
}

function begin(slider) {
  const sizes = JSON.parse(slider.dataset.sizes);
  const range = slider.querySelector("input[type=range]");
  const around = slider.closest("[data-sizes-of]") ?? document;
  slider.dataset.ready = "";
  slider.hidden = false;
  if (sizes.length < 2) range.disabled = true;

  function show(index, { tell = true } = {}) {
    const one = sizes[index];
    range.value = index;
    range.setAttribute("aria-valuetext", words(one));
    for (const place of around.querySelectorAll("[data-show]")) {
      const text = place.dataset.show.split(".").reduce((of, name) => of?.[name], one);
      if (text != null && place.textContent !== text) place.textContent = text;
    }
    for (const marked of around.querySelectorAll("[data-size]")) {
      if (!marked.closest(".chart")) marked.classList.toggle("chosen", marked.dataset.size === one.size);
    }
    for (const device of around.querySelectorAll("[data-device]")) {
      device.classList.toggle("holds", one.holds?.includes(Number(device.dataset.device)) ?? false);
    }
    const radio = [...around.querySelectorAll("input[type=radio]")].find((each) => each.value === one.size);
    if (radio) radio.checked = true;
    if (tell) document.dispatchEvent(new CustomEvent(told, { detail: one.size }));
  }

  range.addEventListener("input", () => show(Number(range.value)));
  around.addEventListener("change", (event) => {
    if (event.target.type !== "radio") return;
    const index = sizes.findIndex((one) => one.size === event.target.value);
    if (index >= 0) show(index);
  });
  document.addEventListener(told, function moved({ detail }) {
    if (!slider.isConnected) return document.removeEventListener(told, moved);
    const index = sizes.findIndex((one) => one.size === detail);
    if (index >= 0 && index !== Number(range.value)) show(index, { tell: false });
  });
}

function words(one) {
  const parts = [one.size];
  if (one.layers) parts.push(`${one.layers} layers`);
  if (one.need) parts.push(`${one.need} to run`);
  return parts.join(", ");
}

document.addEventListener("part:drawn", ({ target }) => enhance(target));
enhance();
