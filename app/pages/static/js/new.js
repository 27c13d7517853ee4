// The form that asks for a family: its ladder appears when a teacher is named (htmx fetches it as a
// part of the page), and what is wrong stands at its field.

import { combobox } from "./combobox.js";
import { enhance } from "./slider.js";

const form = document.getElementById("new");

function begin() {
  const input = form.querySelector("#teacher");
  combobox(input, form.querySelector("#teachers"), "/teachers");
  form.querySelector("#look").hidden = true;
  if (!input.value) input.focus({ preventScroll: true });
}

// What was open in the ladder stays open in the next.
let open = [];
function remember() {
  open = [...document.querySelectorAll("#ladder details[open]")].map((one) => one.className);
}

function settled() {
  const ladder = document.getElementById("ladder");
  enhance(ladder);
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

if (form) {
  begin();
  document.addEventListener("htmx:beforeSwap", ({ target }) => { if (target.id === "ladder") remember(); });
  document.addEventListener("htmx:afterSwap", (event) => { if (document.getElementById("ladder") === event.detail.elt || event.target.id === "ladder") settled(); });
}
