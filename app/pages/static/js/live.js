// Shows how far distillations are, and draws the page again when anything else happens: not more
// often than it can be drawn, and not while nobody looks.
const events = new EventSource(`/events?after=${document.getElementById("live").dataset.event}`);
let waiting = false, changed = false, took = 0;

async function draw() {
  const started = performance.now();
  changed = false;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.getElementById("live").replaceWith(page.getElementById("live"));
    }
  } finally {
    took = performance.now() - started;
    waiting = false;
    if (changed) soon();
  }
}

function soon() {
  changed = true;
  if (waiting || document.hidden) return;
  waiting = true;
  setTimeout(draw, Math.max(1000, 10 * took));
}

function progress(event) {
  const now = JSON.parse(event.data);
  const shown = document.querySelectorAll(`.steps[data-student="${now.student}"]`);
  for (const one of shown) {
    const bar = one.querySelector("progress");
    if (now.steps) bar.max = now.steps;
    bar.value = now.step ?? bar.value;
    let text = `step ${bar.value} of ${bar.max}`;
    if (now.loss != null) text += `, loss ${now.loss.toFixed(3)}`;
    if (now.eta_s != null) text += `, ${Math.round(now.eta_s)} s left`;
    one.querySelector("span").textContent = text;
  }
}

for (const kind of ["family", "hashing", "student", "map", "measuring", "order", "members", "member", "publishing", "want"]) {
  events.addEventListener(kind, soon);
}
events.addEventListener("progress", progress);
document.addEventListener("visibilitychange", () => { if (changed) soon(); });
