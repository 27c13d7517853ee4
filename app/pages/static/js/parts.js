// Links and forms with data-load="PART OTHER" show another state of parts of the page: they alone are
// fetched and put in place, and the page's address says what is shown. Of a link's address only what
// data-sets="NAME OTHER" names is taken: the rest may be older than what the page shows by now.
import { keeping } from "./keeping.js";

async function load(names, address) {
  const parts = names.split(" ").map((name) => document.getElementById(name));
  const fresh = await Promise.all(parts.map((part) => fetched(part, address)));
  if (fresh.includes(null)) return location.assign(address);
  address.hash = "";
  history.replaceState(history.state, "", address);
  parts.forEach((part, at) => {
    const restore = keeping(part);
    part.replaceChildren(...fresh[at].childNodes);
    restore();
    window.htmx?.process(part);
    part.dispatchEvent(new CustomEvent("part:drawn", { bubbles: true }));
  });
}

async function fetched(part, address) {
  const asked = new URL(address);
  asked.searchParams.set("part", part.id);
  asked.hash = "";
  const answer = await fetch(asked, { headers: { Accept: "text/html" } });
  if (!answer.ok) return null;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return page.getElementById(part.id);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-load]");
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const address = new URL(location.href);
  const asked = new URL(link.href).searchParams;
  for (const name of link.dataset.sets.split(" ")) {
    if (asked.has(name)) address.searchParams.set(name, asked.get(name));
    else address.searchParams.delete(name);
  }
  load(link.dataset.load, address);
});
document.addEventListener("change", ({ target }) => {
  const form = target.closest?.("form[data-load]");
  if (!form) return;
  const address = new URL(location.href);
  for (const [name, value] of new FormData(form)) address.searchParams.set(name, value);
  load(form.dataset.load, address);
});
