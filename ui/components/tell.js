// Tells in this browser that a run has ended. The browser itself keeps which runs: whoever asked here is told here, also when
// no page was open just then, the next time that one is. With data.run: the button; without: what listens on every page.
const KEPT = "aelab-tell", EVERY = 4000, OVER = ["completed", "failed", "stopped"];
const parts = new WeakMap();

export default function ({ data, parentElement }) {
  let part = parts.get(parentElement);
  if (!part) parts.set(parentElement, (part = data.run ? new Bell(parentElement.querySelector(".root")) : new Listener()));
  part.show(data);
  return () => { part.close(); parts.delete(parentElement); };
}

// {run: {name, word}}: those that are waited for, and what was told of them last.
function kept() {
  try { return JSON.parse(localStorage.getItem(KEPT)) ?? {}; } catch { return {}; }
}
function change(act) {
  const all = kept();
  act(all);
  try { localStorage.setItem(KEPT, JSON.stringify(all)); } catch { return false; }
  say("tell");
  return true;
}
const allowed = () => globalThis.Notification?.permission;

class Bell {
  constructor(root) {
    this.button = Object.assign(element("button", "", root), { type: "button", onclick: () => this.press() });
    this.note = element("p", "", root);
    this.deaf = hear("tell", () => this.draw());
  }

  show(data) { this.data = data; this.draw(); }

  close() { this.deaf(); }

  async press() {
    const { run, name } = this.data;
    if (kept()[run]) return change((all) => delete all[run]);
    if (allowed() === "default") await Notification.requestPermission();
    if (allowed() === "granted") change((all) => (all[run] = { name, word: null }));
    this.draw();
  }

  draw() {
    const on = Boolean(kept()[this.data.run]) && allowed() === "granted";
    this.button.textContent = on ? "This browser tells you" : "Tell me in this browser";
    this.button.setAttribute("aria-pressed", on);
    this.button.disabled = !allowed() || allowed() === "denied";
    this.note.textContent = !allowed() ? "Browsers show notifications only for addresses with https, or on the lab's own machine."
      : allowed() === "denied" ? "Notifications of this page are blocked: its settings in the browser allow them again."
      : on ? "When it ends, as long as some page of the lab is open; else when the next one is." : "";
  }
}

class Listener {
  constructor() {
    this.deaf = hear("tell", () => this.poll());
    this.woken = () => this.poll();
    addEventListener("storage", this.woken);
    this.timer = setTimeout(() => this.poll());
  }

  show({ path }) { this.path = path; }

  close() {
    clearTimeout(this.timer);
    this.closed = true;
    this.deaf();
    removeEventListener("storage", this.woken);
  }

  async poll() {
    clearTimeout(this.timer);
    const runs = Object.keys(kept());
    if (this.asking || this.closed || !runs.length || allowed() !== "granted") return;
    this.asking = true;
    const answer = await fetch(address(`${this.path}&runs=${encodeURIComponent(runs.join())}`)).then((found) => (found.ok ? found.json() : null)).catch(() => null);
    this.asking = false;
    if (this.closed) return;
    if (answer) for (const run of runs) this.hear(run, answer[run] ?? { word: "deleted", reason: "" });
    this.timer = setTimeout(() => this.poll(), EVERY);
  }

  // Read again what is kept: another tab may have told it a moment ago.
  hear(run, { name, word, reason }) {
    const known = kept()[run];
    if (!known || known.word === word) return;
    const over = OVER.includes(word) || word === "deleted";
    change((all) => (over ? delete all[run] : (all[run] = { ...known, word })));
    if (!word) return;
    try {
      const shown = new Notification(`${name ?? known.name}: ${word}`, { body: reason, tag: `aelab-${run}-${word}` });
      shown.onclick = () => { window.focus(); location.assign(address(`runs?run=${encodeURIComponent(run)}`)); };
    } catch { /* a browser that shows them only for installed pages */ }
  }
}
