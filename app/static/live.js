// Draws the page again when something happens, at most once a second.
const events = new EventSource(`/events?after=${document.getElementById("live").dataset.event}`);
let waiting = false;
async function draw() {
  waiting = false;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.getElementById("live").replaceWith(page.getElementById("live"));
}
for (const kind of ["family", "hashing", "student", "progress", "measuring", "order", "members", "member", "want"]) {
  events.addEventListener(kind, () => {
    if (!waiting) { waiting = true; setTimeout(draw, 1000); }
  });
}
