// Makes tabs of headed sections (WAI-ARIA: arrows, Home and End move, the panel follows), and puts
// a button beside code that copies it. Without it all sections are read one below the other.
//
// A set is an element with data-tabs="LABEL" whose sections each begin with a heading.

const KEYS = { ArrowRight: 1, ArrowLeft: -1 };

function tabbed(set) {
  const panels = [...set.querySelectorAll(":scope > section")];
  if (panels.length < 2 || set.classList.contains("tabbed")) return;
  const list = document.createElement("div");
  list.className = "tabs";
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", set.dataset.tabs);
  const tabs = panels.map((panel) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.className = "plain";
    tab.id = `${panel.id}-tab`;
    tab.textContent = panel.querySelector("h3").textContent;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    list.append(tab);
    return tab;
  });
  const choose = (at, focus) => {
    tabs.forEach((tab, here) => {
      tab.setAttribute("aria-selected", String(here === at));
      tab.tabIndex = here === at ? 0 : -1;
      panels[here].hidden = here !== at;
    });
    if (focus) tabs[at].focus();
  };
  list.addEventListener("click", (event) => {
    const at = tabs.indexOf(event.target.closest("[role=tab]"));
    if (at >= 0) choose(at, false);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const to = event.key === "Home" ? 0 : event.key === "End" ? tabs.length - 1
      : event.key in KEYS ? (at + KEYS[event.key] + tabs.length) % tabs.length : -1;
    if (to < 0) return;
    event.preventDefault();
    choose(to, true);
  });
  set.prepend(list);
  set.classList.add("tabbed");
  choose(0, false);
}

function copying(place) {
  // Browsers let only pages of https and of this machine write to the clipboard.
  if (!navigator.clipboard || place.querySelector("button")) return;
  const code = place.querySelector("pre");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${code.getAttribute("aria-label") ?? "this"}`);
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  place.append(button);
}

export function enhance(root) {
  root.querySelectorAll("[data-tabs]").forEach(tabbed);
  root.querySelectorAll(".copy").forEach(copying);
}

enhance(document);
document.addEventListener("part:drawn", (event) => enhance(event.target));
