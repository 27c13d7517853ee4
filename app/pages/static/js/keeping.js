// What a reader did to a part of the page, so that it is still so once the part is drawn anew.

const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

const nameOf = (one) => [
  one.tagName, one.id, one.getAttribute("name"), one.getAttribute("href"),
  one.id || one.getAttribute("name") ? "" : one.textContent.trim(),
].join("|");

const byName = (part, selector, name) =>
  [...part.querySelectorAll(selector)].find((one) => nameOf(one) === name);

// Say what is so now; what is returned makes it so again.
export function keeping(part) {
  const active = part.contains(document.activeElement) && document.activeElement !== part ? document.activeElement : null;
  const focus = active && {
    name: nameOf(active),
    at: [...part.querySelectorAll(FOCUSABLE)].indexOf(active),
    from: active.selectionStart, to: active.selectionEnd,
  };
  const opened = [...part.querySelectorAll("details")].map((one) => [nameOf(one.querySelector("summary") ?? one), one.open]);
  const typed = [...part.querySelectorAll("input, textarea, select")]
    .filter((one) => !["hidden", "file"].includes(one.type))
    .filter((one) => one.value !== one.defaultValue || one.checked !== one.defaultChecked)
    .map((one) => [nameOf(one), one.value, one.checked]);
  const scrolled = [...part.querySelectorAll(".scroll")].map((one) => [one.scrollLeft, one.scrollTop]);

  return () => {
    for (const [name, open] of opened) {
      const summary = byName(part, "summary", name);
      if (summary) summary.parentElement.open = open;
    }
    for (const [name, value, checked] of typed) {
      const field = byName(part, "input, textarea, select", name);
      if (field) Object.assign(field, { value, checked });
    }
    part.querySelectorAll(".scroll").forEach((one, at) => {
      [one.scrollLeft, one.scrollTop] = scrolled[at] ?? [0, 0];
    });
    if (!focus) return;
    const all = [...part.querySelectorAll(FOCUSABLE)];
    const again = all.find((one) => nameOf(one) === focus.name) ?? all[focus.at];
    again?.focus({ preventScroll: true });
    if (focus.from != null && again?.setSelectionRange) again.setSelectionRange(focus.from, focus.to);
  };
}
