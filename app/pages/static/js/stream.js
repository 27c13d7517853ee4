// One stream of events for all tabs of a browser, which opens no more than six connections to a
// host. It is a SharedWorker's script; where there are none, a tab imports it and has its own.
//
// A tab says {visible, after}: whether somebody looks at it, and the last event that it knows of. It
// is sent every later one as {id, data}, or {missed: true} where those are no longer known. While
// nobody looks at any tab, the stream is closed; then it goes on where it was.

const KEPT = 500; // events that tabs may be behind
const SILENT_MS = 60_000; // after which a visible tab that says nothing is gone
const LONGEST_MS = 60_000;

export class Stream {
  constructor(address) {
    this.address = address;
    this.tabs = new Map(); // what sends to a tab → {visible, heard, after}
    this.source = null;
    this.last = null; // id of the newest event
    this.floor = null; // events up to this one are not kept
    this.kept = [];
    this.wait = 1000;
  }

  tell(send, { visible, after, gone }) {
    if (gone) this.tabs.delete(send);
    else {
      const before = this.tabs.get(send);
      this.tabs.set(send, { visible, heard: Date.now(), after: after ?? before?.after ?? 0 });
      if (visible && !before?.visible && after != null) this.catchUp(send, after);
    }
    this.look();
  }

  catchUp(send, after) {
    if (this.last === null) this.last = this.floor = after;
    else if (after < this.floor) send({ missed: true, id: this.last });
    else for (const one of this.kept) if (one.id > after) send(one);
  }

  look() {
    const now = Date.now();
    for (const [send, tab] of this.tabs) if (now - tab.heard > SILENT_MS) tab.visible = false;
    const wanted = [...this.tabs.values()].some((tab) => tab.visible);
    clearTimeout(this.timer);
    if (!wanted) {
      this.source?.close();
      this.source = null;
      return;
    }
    if (this.source === null) this.open();
    this.timer = setTimeout(() => this.look(), SILENT_MS / 2);
  }

  open() {
    const source = new EventSource(`${this.address}&after=${this.last}`);
    this.source = source;
    source.onopen = () => { this.wait = 1000; };
    source.onmessage = (message) => this.heard(Number(message.lastEventId), JSON.parse(message.data));
    source.onerror = () => {
      // The browser connects again by itself, but not after an answer that is no stream.
      if (source.readyState !== EventSource.CLOSED || this.source !== source) return;
      this.source = null;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.look(), this.wait);
      this.wait = Math.min(2 * this.wait, LONGEST_MS);
    };
  }

  heard(id, data) {
    const one = { id, data };
    this.last = id;
    // Of the steps of one distillation only the newest says anything.
    if (data.event === "progress") {
      const same = (old) => old.data.event === "progress" && old.data.student === data.student;
      this.kept = this.kept.filter((old) => !same(old));
    }
    this.kept.push(one);
    if (this.kept.length > KEPT) this.floor = this.kept.shift().id;
    for (const [send, tab] of this.tabs) if (tab.visible && id > tab.after) send(one);
  }
}

if (typeof SharedWorkerGlobalScope !== "undefined") {
  const stream = new Stream("/events?named=false");
  self.onconnect = ({ ports: [port] }) => {
    const send = (message) => port.postMessage(message);
    port.onmessage = ({ data }) => stream.tell(send, data);
  };
}
