// Keeps what a page shows as it is: how far distillations are is written in as it is told, and parts
// of the page that something else changes are fetched again, each by itself.
//
// A part is an element with data-part="NAME", id="NAME" and data-on, which says what changes it:
// `family:ID`, `student:KEY` (its states), `steps:KEY` (its steps too), or `families`: any of them.
// It is fetched from the page's own address with ?part=NAME (of a NAME that is empty: the page), at most every data-every seconds (1),
// only while somebody looks, and is drawn only where it says something else. Focus, open details,
// what is typed and how far tables are scrolled stay. After it `part:drawn` is sent from it.
// Elements with data-say="NAME" in it are read out to those who cannot see them change.

import { keeping } from "./keeping.js";

const SMALL = new Set(["publishing", "checkpoint", "memory", "task"]); // no page of many shows them
const states = new WeakMap(); // part → what is known of its drawing
let last = Number(document.querySelector("[data-event]")?.dataset.event ?? 0);

// What a form had done is said once: a reload, or an address that is copied, says it no more.
const address = new URL(location.href);
if (address.searchParams.has("done")) {
  address.searchParams.delete("done");
  history.replaceState(history.state, "", address);
}

function matches(part, told) {
  for (const on of (part.dataset.on ?? "").split(/\s+/)) {
    const [kind, id] = on.split(":");
    if (kind === "steps" && id === told.student) return true;
    if (told.event === "progress" || kind === "families" && SMALL.has(told.event)) continue;
    if (kind === "families" || id && (kind === "family" || kind === "student") && told[kind] === id) return true;
  }
  return false;
}

function soon(part) {
  const state = states.get(part) ?? { drawn: 0 };
  states.set(part, state);
  state.changed = true;
  if (state.waiting || document.hidden) return;
  state.waiting = true;
  // Not more often than it can be drawn.
  const pause = Math.max(1000 * (part.dataset.every ?? 1), 10 * (state.took ?? 0));
  setTimeout(() => draw(part, state), Math.max(0, state.drawn + pause - performance.now()));
}

async function draw(part, state) {
  const started = performance.now();
  state.changed = false;
  try {
    const address = new URL(location.href);
    if (part.dataset.part) address.searchParams.set("part", part.dataset.part);
    address.hash = "";
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (answer.ok && part.isConnected) show(part, state, await answer.text());
  } catch {
    state.changed = true; // it is asked for again with the next event
  } finally {
    state.drawn = performance.now();
    state.took = state.drawn - started;
    state.waiting = false;
    if (state.changed && state.took < 10_000) soon(part);
  }
}

function show(part, state, text) {
  if (text === state.text) return;
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("[data-part]");
  if (!fresh) return;
  state.text = text;
  if (fresh.isEqualNode(part)) return;
  const said = sayings(part);
  const restore = keeping(part);
  for (const { name } of [...part.attributes]) if (!fresh.hasAttribute(name)) part.removeAttribute(name);
  for (const { name, value } of fresh.attributes) part.setAttribute(name, value);
  part.replaceChildren(...fresh.childNodes);
  restore();
  window.htmx?.process(part);
  say(sayings(part), said);
  part.dispatchEvent(new CustomEvent("part:drawn", { bubbles: true }));
}

function sayings(part) {
  const found = [...part.querySelectorAll("[data-say]")];
  return new Map(found.map((one) => [one.dataset.say, one.textContent.trim().replace(/\s+/g, " ")]));
}

function say(now, before) {
  let aloud = document.getElementById("said");
  if (!aloud) {
    aloud = document.createElement("div");
    Object.assign(aloud, { id: "said", className: "visually-hidden" });
    aloud.setAttribute("role", "status");
    document.body.append(aloud);
  }
  const news = [...now].filter(([name, text]) => before.has(name) && before.get(name) !== text);
  if (news.length) aloud.textContent = news.map(([name, text]) => `${name}: ${text}`).join(". ");
}

function steps(told) {
  for (const one of document.querySelectorAll(`.steps[data-student="${told.student}"]`)) {
    const bar = one.querySelector("progress");
    if (told.steps) bar.max = told.steps;
    bar.value = told.step ?? bar.value;
    let text = `step ${bar.value} of ${bar.max}`;
    if (told.loss != null) text += `, loss ${Number(told.loss).toFixed(3)}`;
    if (told.eta_s != null) text += `, ${left(told.eta_s)} left`;
    one.querySelector("span").textContent = text;
  }
}

// As app/pages/rendering.py says it.
function left(seconds) {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function heard({ id, data, missed }) {
  last = id;
  const parts = document.querySelectorAll("[data-part]");
  if (missed) return parts.forEach(soon);
  if (data.event === "progress") steps(data);
  for (const part of parts) if (matches(part, data)) soon(part);
}

async function connect() {
  if (typeof SharedWorker === "function") {
    const worker = new SharedWorker(new URL("./stream.js", import.meta.url), { type: "module", name: "stream" });
    worker.port.onmessage = ({ data }) => heard(data);
    return (message) => worker.port.postMessage(message);
  }
  const { Stream } = await import("./stream.js");
  const stream = new Stream("/events?named=false");
  return (message) => stream.tell(heard, message);
}

async function follow() {
  const tell = await connect();
  const here = () => tell({ visible: !document.hidden, after: last });
  here();
  setInterval(() => { if (!document.hidden) here(); }, 25_000);
  addEventListener("pagehide", () => tell({ gone: true }));
  addEventListener("pageshow", (event) => { if (event.persisted) here(); });
  document.addEventListener("visibilitychange", () => {
    here();
    if (document.hidden) return;
    for (const part of document.querySelectorAll("[data-part]")) if (states.get(part)?.changed) soon(part);
  });
}

// A page where nothing changes by itself, as that where one logs in, asks for no events.
if (document.querySelector("[data-on], .steps")) await follow();
