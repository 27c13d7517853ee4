// Links and forms with data-load="PART" show another state of one part of the page: that part alone
// is fetched and put in place, and the page's address says what is shown.
import { keeping } from "./keeping.js";

async function load(name, address) {
  const here = new URL(location.href);
  // What was chosen since the page was drawn.
  for (const chosen of ["size", "sort"]) {
    if (here.searchParams.has(chosen)) address.searchParams.set(chosen, here.searchParams.get(chosen));
  }
  const part = document.getElementById(name);
  const asked = new URL(address);
  asked.searchParams.set("part", name);
  asked.hash = "";
  const answer = await fetch(asked, { headers: { Accept: "text/html" } });
  const text = answer.ok ? await answer.text() : "";
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelector(`[data-part="${name}"]`);
  if (!fresh || !part) return location.assign(address);
  const restore = keeping(part);
  part.replaceChildren(...fresh.childNodes);
  restore();
  address.hash = "";
  history.replaceState(history.state, "", address);
  window.htmx?.process(part);
  part.dispatchEvent(new CustomEvent("part:drawn", { bubbles: true }));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-load]");
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  load(link.dataset.load, new URL(link.href));
});
document.addEventListener("change", ({ target }) => {
  const form = target.closest?.("form[data-load]");
  if (!form) return;
  const address = new URL(location.href);
  for (const [name, value] of new FormData(form)) address.searchParams.set(name, value);
  load(form.dataset.load, address);
});
