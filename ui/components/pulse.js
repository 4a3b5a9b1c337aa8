// Asks a route for a stamp; where it is another than the page was made with, the page is made anew. Nothing is drawn.
const hearts = new WeakMap();

export default function (component) {
  const { parentElement } = component;
  if (!hearts.has(parentElement)) hearts.set(parentElement, new Heart());
  const heart = hearts.get(parentElement);
  heart.take(component);
  return () => { heart.close(); hearts.delete(parentElement); };
}

class Heart {
  constructor() {
    this.woken = () => { if (!document.hidden) this.beat(); };
    document.addEventListener("visibilitychange", this.woken);
  }

  take(component) {
    this.component = component;
    this.rest();
  }

  rest() {
    clearTimeout(this.timer);
    if (!this.closed) this.timer = setTimeout(() => this.beat(), this.component.data.every);
  }

  async beat() {
    clearTimeout(this.timer);
    if (this.asking || this.closed || document.hidden) return;
    this.asking = true;
    const { path, stamp } = this.component.data;
    const answer = await fetch(address(path)).catch(() => null); // the server may be away for a moment
    const found = answer?.ok ? await answer.json().catch(() => ({})) : {};
    this.asking = false;
    this.rest();
    const { data, setTriggerValue } = this.component;
    if (answer?.status === 403 && !this.closed && path === data.path && path !== this.refused) {
      this.refused = path; // its token is of too long ago: the page made anew has others, once
      setTriggerValue("refused", Date.now());
      return;
    }
    if (!this.closed && found.stamp && path === data.path && stamp === data.stamp && found.stamp !== stamp) setTriggerValue("changed", found.stamp);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.woken);
  }
}
