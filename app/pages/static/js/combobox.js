// What may be meant is listed while one types: the pattern "combobox with list autocomplete" of the
// WAI-ARIA Authoring Practices. Focus stays in the field; the list is named by aria-activedescendant.
// When something is chosen, or what was typed is one of the list, `plan` is sent from the field.

const PAUSE_MS = 180;

export function combobox(input, list, address) {
  let options = [], active = -1, timer, asking, planned = input.value;
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) input.setAttribute(name, value);

  function close() {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function point(index) {
    active = index;
    [...list.children].forEach((one, at) => one.setAttribute("aria-selected", at === index));
    if (index < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", list.children[index].id);
    list.children[index].scrollIntoView({ block: "nearest" });
  }

  function choose(index) {
    input.value = options[index].name;
    close();
    settled();
  }

  function settled() {
    clearTimeout(timer);
    asking?.abort();
    plan();
  }

  // Once for each that is named: whoever leaves the field has named nothing new.
  function plan() {
    if (input.value === planned) return;
    planned = input.value;
    input.dispatchEvent(new CustomEvent("plan", { bubbles: true }));
  }

  async function look() {
    asking?.abort();
    asking = new AbortController();
    const typed = input.value.trim();
    try {
      const answer = await fetch(`${address}?q=${encodeURIComponent(typed)}`, { headers: { Accept: "application/json" }, signal: asking.signal });
      if (!answer.ok) return;
      options = (await answer.json()).teachers;
    } catch {
      return; // asked otherwise by now, or nobody answers: it is a plain field
    }
    if (document.activeElement !== input) return;
    draw(typed);
    if (options.some((one) => one.name === typed)) plan();
  }

  function draw(typed) {
    list.replaceChildren(...options.map((one, at) => {
      const item = document.createElement("li");
      item.id = `${list.id}-${at}`;
      item.role = "option";
      item.setAttribute("aria-selected", "false");
      const name = document.createElement("span"), kind = document.createElement("span");
      name.textContent = one.name;
      kind.className = "kind";
      kind.textContent = one.kind === "folder" ? "folder" : one.parameters ? `Hub · ${short(one.parameters)}` : "Hub";
      item.append(name, kind);
      return item;
    }));
    const same = options.length === 1 && options[0].name === typed;
    list.hidden = !options.length || same;
    input.setAttribute("aria-expanded", String(!list.hidden));
    point(-1);
  }

  input.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
    if (event.inputType === "insertFromPaste") setTimeout(plan);
  });
  input.addEventListener("keydown", (event) => {
    const open = !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) return void look();
      const step = event.key === "ArrowDown" ? 1 : -1;
      point((active + step + options.length + (active < 0 && step < 0 ? 1 : 0)) % options.length);
    } else if (event.key === "Enter") {
      event.preventDefault(); // it must not ask for a family whose ladder nobody has seen
      if (open && active >= 0) choose(active);
      else { close(); settled(); }
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      close();
    } else if (event.key === "Tab") close();
  });
  input.addEventListener("focus", () => { if (!input.value) look(); });
  input.addEventListener("blur", close);
  input.addEventListener("change", settled);
  // Before the field loses its focus.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const at = [...list.children].indexOf(event.target.closest("li"));
    if (at >= 0) choose(at);
  });
}

function short(count) {
  for (const [unit, scale] of [["T", 1e12], ["B", 1e9], ["M", 1e6], ["K", 1e3]]) {
    if (count >= scale) return `${Number((count / scale).toPrecision(3))}${unit}`;
  }
  return String(count);
}
