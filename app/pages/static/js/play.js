// Has sizes write: one after another, as one writes at a time anyway, each into a column of its own.
//
// In a conversation each size goes on with what it said itself. What is written is read out to those
// who cannot see it once it is done, not word by word.

const form = document.getElementById("ask");
const written = document.getElementById("written");
const template = document.getElementById("column");
const [write, stop, anew] = ["write", "stop", "anew"].map((id) => document.getElementById(id));
const prompt = form.elements.prompt;
const most = Number(form.dataset.most);
const columns = new Map(); // size → its element, and its conversation
let stopping = null;

const boxes = () => [...form.querySelectorAll("input[name=size]")];
const chosen = () => boxes().filter((box) => box.checked).map((box) => box.value);
const chatting = () => form.querySelector("input[name=mode]:checked")?.value === "chat";

function bound() {
  const full = chosen().length >= most;
  for (const box of boxes()) box.disabled = full && !box.checked;
  const address = new URL(location.href);
  address.pathname = "/play";
  address.search = "";
  address.searchParams.set("family", form.dataset.family);
  for (const size of chosen()) address.searchParams.append("size", size);
  history.replaceState(null, "", address);
}

function columnOf(size) {
  const known = columns.get(size);
  if (known) return known;
  const element = template.content.firstElementChild.cloneNode(true);
  const link = element.querySelector("h2 a");
  link.textContent = size;
  element.querySelector(".about").textContent = boxes().find((box) => box.value === size).dataset.about;
  link.href = `/models/${encodeURIComponent(size)}?family=${form.dataset.family}`;
  element.querySelector(".said").setAttribute("aria-label", `What ${size} writes`);
  const made = { size, element, messages: [] };
  columns.set(size, made);
  return made;
}

function state(column, kind, words = kind) {
  const badge = column.element.querySelector(".state");
  badge.className = `badge state ${kind}`;
  badge.textContent = words;
  column.element.classList.toggle("writing", kind === "writing");
}

function wrong(column, words) {
  const place = column.element.querySelector(".wrong");
  place.hidden = !words;
  place.textContent = words;
  if (words) state(column, "failed");
}

function turn(column, kind, text = "") {
  const said = document.createElement("p");
  said.className = `turn ${kind}`;
  said.append(text);
  column.element.querySelector(".said").append(said);
  return said;
}

function prepare(column, text) {
  const said = column.element.querySelector(".said");
  wrong(column, "");
  column.element.querySelector(".figures").textContent = "";
  if (chatting()) {
    if (!column.messages.length) said.replaceChildren();
    column.messages.push({ role: "user", content: text });
    turn(column, "user", text);
    column.said = turn(column, "assistant");
  } else {
    column.messages = [];
    said.replaceChildren();
    column.said = turn(column, "text");
    const before = document.createElement("span");
    before.className = "prompt";
    before.append(text);
    column.said.append(before);
  }
  said.scrollTop = said.scrollHeight;
  column.text = "";
  state(column, "next", "next");
}

function asked(column, text) {
  const { temperature, max_tokens: tokens, draft } = form.elements;
  return {
    ...(chatting() ? { messages: column.messages } : { prompt: text }),
    temperature: Number(temperature.value) || 0,
    ...(tokens.value ? { max_tokens: Number(tokens.value) } : {}),
    draft: draft.checked,
  };
}

async function* events(answer) {
  const reader = answer.body.getReader(), decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
  }
}

function show(column, event) {
  const said = column.element.querySelector(".said");
  const figures = column.element.querySelector(".figures");
  if (event.event === "waiting") state(column, "next", event.place ? `${event.place} before` : "next");
  if (event.event === "loading") state(column, "loading", "loading the pair");
  if (event.event === "begun") {
    state(column, "writing");
    column.began = performance.now();
    column.switched = event.switch_ms;
  }
  if (event.event === "text") {
    const below = said.scrollHeight - said.scrollTop - said.clientHeight;
    column.text += event.text;
    column.said.append(event.text);
    if (below < 24) said.scrollTop = said.scrollHeight;
    const seconds = (performance.now() - column.began) / 1000;
    const speed = seconds > 0.3 ? `, ${(event.tokens / seconds).toFixed(1)} tokens/s` : "";
    figures.textContent = `${event.tokens} tokens${speed}`;
  }
  if (event.event === "failed") wrong(column, `${sentence(event.reason)} ${event.fix}`.trim());
  if (event.event === "done") finish(column, event, figures);
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;

function finish(column, event, figures) {
  const speed = `${event.completion_tokens} tokens, ${event.tokens_per_s.toFixed(1)} tokens/s`;
  const switched = column.switched == null ? "" : `, ready in ${Math.max(0.1, column.switched).toFixed(1)} ms`;
  figures.textContent = speed + switched;
  state(column, event.finish_reason === "cancelled" ? "stopped" : "done");
  if (chatting()) column.messages.push({ role: "assistant", content: column.text });
  document.getElementById("told").textContent = `${column.size} has written ${speed}.`;
}

async function answer(column, text) {
  const address = `/play/${form.dataset.family}/${encodeURIComponent(column.size)}`;
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    body: JSON.stringify(asked(column, text)),
    signal: stopping.signal,
  });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({ detail: `The service said ${answer.status}.` }));
    wrong(column, `${problem.detail} ${problem.fix ?? ""}`.trim());
    return;
  }
  let last = {};
  for await (const event of events(answer)) show(column, (last = event));
  if (last.event !== "done" && last.event !== "failed") wrong(column, "The service went away. Ask again.");
}

async function run() {
  const sizes = chosen(), text = prompt.value;
  const error = document.getElementById("wrong");
  error.hidden = Boolean(sizes.length);
  error.textContent = sizes.length ? "" : "Choose a size.";
  if (!sizes.length || stopping) return;
  stopping = new AbortController();
  busy(true);
  const shown = sizes.map(columnOf);
  written.replaceChildren(...shown.map((column) => column.element));
  for (const column of shown) prepare(column, text);
  if (chatting()) prompt.value = "";
  for (const column of shown) {
    try {
      if (stopping.signal.aborted) left(column);
      else await answer(column, text);
    } catch (error) {
      if (stopping.signal.aborted) left(column);
      else wrong(column, "The service does not answer. Ask again.");
    }
  }
  stopping = null;
  busy(false);
}

function left(column) {
  state(column, "stopped");
  if (!chatting()) return;
  // A conversation takes turns: what was written so far is what it said.
  if (column.text) column.messages.push({ role: "assistant", content: column.text });
  else column.messages.pop();
}

function busy(now) {
  write.disabled = now;
  stop.hidden = !now;
  anew.hidden = now || !chatting() || ![...columns.values()].some((column) => column.messages.length);
  if (!now && document.activeElement === document.body) prompt.focus();
}

function begin() {
  columns.clear();
  written.replaceChildren();
  anew.hidden = true;
  prompt.focus();
}

form.addEventListener("submit", (event) => { event.preventDefault(); run(); });
form.addEventListener("change", (event) => {
  if (event.target.name === "size") bound();
  if (event.target.name === "mode") begin();
});
stop.addEventListener("click", () => stopping?.abort());
anew.addEventListener("click", begin);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stopping?.abort();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && form.contains(event.target)) {
    event.preventDefault();
    form.requestSubmit();
  }
});
for (const one of document.querySelectorAll(".js")) one.hidden = false;
bound();
