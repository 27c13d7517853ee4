// The form that asks for a family: its ladder appears when a teacher is named (htmx fetches it as a
// part of the page), and what is wrong stands at its field.

import { combobox } from "./combobox.js";
import "./slider.js";

const form = document.getElementById("new");

function begin() {
  const input = form.querySelector("#teacher");
  combobox(input, form.querySelector("#teachers"), "/teachers");
  form.querySelector("#look").hidden = true;
  if (!input.value && location.pathname === "/new") input.focus({ preventScroll: true });
}

// What was open in the ladder stays open in the next.
// The same holds for the size that was chosen, while something is wrong and there is no ladder.
let open = [], chosen = "";
function remember() {
  open = [...document.querySelectorAll("#ladder details[open]")].map((one) => one.className);
}

function settled() {
  const ladder = document.getElementById("ladder");
  for (const name of open) ladder.querySelector(`details.${name}`)?.setAttribute("open", "");
  for (const field of form.querySelectorAll(".field.wrong")) {
    field.classList.remove("wrong");
    field.querySelector(".error")?.remove();
    const input = field.querySelector("input, select");
    input.removeAttribute("aria-invalid");
    input.setAttribute("aria-describedby", `${input.id}-hint`);
  }
  const error = ladder.querySelector(".error[data-field]");
  document.getElementById("new-said").textContent = error?.textContent ?? ladder.dataset.said;
  if (!error) address();
  const field = error && form.querySelector(`#field-${error.dataset.field}`);
  if (!field) return;
  field.closest("details")?.setAttribute("open", "");
  field.classList.add("wrong");
  const input = field.querySelector("input, select");
  error.id = `${input.id}-error`;
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", `${input.id}-hint ${error.id}`);
  field.append(error);
}

// The page's own address says what is asked, so that it can be loaded again and handed on.
function address() {
  if (location.pathname !== "/new") return;
  const said = new URLSearchParams();
  for (const name of ["teacher", "revision", "student", "recipe", "order", "map", "kept", "dtype", "context", "budget"]) {
    const value = new FormData(form).get(name);
    if (value) said.set(name, value);
  }
  history.replaceState(history.state, "", `/new?${said}`);
}

// What there is to say of the size that was chosen.
function show(size) {
  const ladder = document.getElementById("ladder");
  const all = JSON.parse(ladder.querySelector("[data-all]")?.dataset.all ?? "[]");
  const one = all.find((each) => each.size === size);
  if (!one) return;
  chosen = size;
  for (const place of ladder.querySelectorAll("[data-show]")) {
    const text = place.dataset.show.split(".").reduce((of, name) => of?.[name], one);
    if (text != null && place.textContent !== text) place.textContent = text;
  }
  for (const device of ladder.querySelectorAll("[data-device]")) {
    device.classList.toggle("holds", one.holds.includes(Number(device.dataset.device)));
  }
  ladder.querySelector("#size").setAttribute("aria-valuetext", `${size}, ${one.layers} layers, ${one.need} to run`);
  const radio = [...ladder.querySelectorAll("input[name=budget]")].find((each) => each.value === size);
  if (radio) radio.checked = true;
  address();
}

if (form) {
  begin();
  document.addEventListener("boomerang:size", ({ detail }) => show(detail));
  form.addEventListener("change", ({ target }) => {
    if (target.name === "budget" && target.value) document.dispatchEvent(new CustomEvent("boomerang:size", { detail: target.value }));
  });
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (form.contains(detail.elt) && chosen && !detail.parameters.budget) detail.parameters.budget = chosen;
  });
  document.addEventListener("htmx:beforeSwap", ({ target }) => { if (target.id === "ladder") remember(); });
  document.addEventListener("htmx:afterSwap", (event) => { if (document.getElementById("ladder") === event.detail.elt || event.target.id === "ladder") settled(); });
}
