// Curves of runs on a canvas. Polls api/metrics for the rows since the last byte it has, twice a second while a run is live.
const EVERY = 500, RETRY = 2000, PAD = { left: 74, right: 18, top: 36, bottom: 48 }, MOST_TOLD = 8;
const charts = new WeakMap();

export default function (component) {
  const { data, parentElement } = component;
  let chart = charts.get(parentElement);
  if (!chart) charts.set(parentElement, (chart = new Chart(parentElement.querySelector(".root"))));
  chart.show(data, component);
  return () => { chart.close(); charts.delete(parentElement); };
}

const element = (tag, className, parent) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  parent?.append(made);
  return made;
};
const short = (value) => value == null ? "–" : value === 0 ? "0" : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5 ? value.toExponential(2) : String(+value.toPrecision(4));
const nearest = (points, step) => points.reduce((best, point) => (Math.abs(point.step - step) < Math.abs(best.step - step) ? point : best));
const span = (seconds) => seconds < 90 ? `${Math.ceil(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;

// What one run has told so far: its rows by metric, and where it stands.
class Run {
  constructor(info) { Object.assign(this, info, { next: "", metrics: {}, standing: null, live: false }); }

  take(answer) {
    if (answer.whole) this.metrics = {};
    for (const [step, epoch, split, name, value] of answer.rows) {
      const [, bundle, part] = /^(.+_dim)_(\d+)$/.exec(name) ?? [];
      if (bundle) { ((this.metrics[bundle] ??= { parts: {} }).parts[part] ??= []).push({ step, epoch, value }); continue; }
      const metric = (this.metrics[name] ??= { train: [], watch: [], means: [] });
      (split === "train" ? metric.train : metric.watch).push({ step, epoch, value });
      if (split === "train") this.average(metric.means, step, epoch, value);
    }
    this.next = answer.next;
    this.standing = answer;
    this.live ||= !answer.ended;
  }

  average(means, step, epoch, value) {
    if (value == null) return;
    let last = means[means.length - 1];
    if (!last || last.epoch !== epoch) means.push((last = { epoch, step, value: 0, count: 0 }));
    last.count += 1;
    last.value += (value - last.value) / last.count;
    last.step = step;
  }

  where() {
    const s = this.standing;
    if (!s) return "";
    if (s.shown === "queued") return s.position ? `waiting, number ${s.position} in the queue` : "waiting";
    if (s.ended) return s.shown + (s.epoch ? ` · epoch ${s.epoch} of ${s.epochs}` : "");
    return [s.shown === "running" ? "" : s.shown, `epoch ${Math.min(s.epoch + (s.shown === "running"), s.epochs || 1)} of ${s.epochs || "…"}`,
      s.speed ? `${Math.round(s.speed).toLocaleString("en")} images/s` : "", s.eta ? `${span(s.eta)} left` : ""].filter(Boolean).join(" · ");
  }
}

class Chart {
  constructor(root) {
    this.runs = new Map();
    this.log = false;
    this.lines = element("div", "lines", root);
    this.tools = element("div", "tools", root);
    this.terms = element("div", "group", this.tools);
    this.scales = element("div", "group", this.tools);
    this.frame = element("div", "frame", root);
    this.key = element("div", "key", root);
    this.key.innerHTML = `<span><svg viewBox="0 0 30 10"><path d="M0 5H30" stroke="currentColor" stroke-width="3"/><circle cx="15" cy="5" r="4" fill="currentColor"/></svg>held-out images</span>
      <span><svg viewBox="0 0 30 10"><path d="M0 5H30" stroke="currentColor" stroke-width="2" stroke-dasharray="5 4"/></svg>train, epoch mean</span>
      <span><svg viewBox="0 0 30 10"><path d="M0 7l4-4 4 5 4-6 4 5 4-4 5 5 5-4" fill="none" stroke="currentColor" opacity=".45"/></svg>train, each step</span>`;
    this.canvas = element("canvas", "", this.frame);
    this.canvas.setAttribute("role", "img");
    this.tip = element("div", "tip", this.frame);
    this.tip.hidden = true;
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.frame);
    this.woken = () => { if (!document.hidden) this.poll(); };
    document.addEventListener("visibilitychange", this.woken);
    this.listen();
  }

  show(data, component) {
    this.data = data;
    this.term ??= data.term;
    this.component = component;
    this.canvas.style.height = `${data.height / 16}rem`;
    const before = this.runs;
    this.runs = new Map(data.runs.map((info) => [info.id, Object.assign(before.get(info.id) ?? new Run(info), info)]));
    if ([...before.keys()].join() !== [...this.runs.keys()].join()) this.view = null;
    this.write();
    this.draw();
    this.poll();
  }

  close() {
    clearTimeout(this.timer);
    this.closed = true;
    this.resized.disconnect();
    document.removeEventListener("visibilitychange", this.woken);
  }

  async poll() {
    clearTimeout(this.timer);
    if (this.polling || this.closed || document.hidden) return;
    this.polling = true;
    const open = [...this.runs.values()].filter((run) => !run.standing?.ended);
    const fine = await Promise.all(open.map((run) => this.ask(run).catch(() => false)));
    this.polling = false;
    if (this.closed || !open.length) return;
    this.write();
    this.draw();
    if ([...this.runs.values()].some((run) => !run.standing?.ended)) this.timer = setTimeout(() => this.poll(), fine.every(Boolean) ? EVERY : RETRY);
    if (open.some((run) => run.live && run.standing?.ended)) this.component.setTriggerValue("ended", Date.now());
  }

  async ask(run) {
    const answer = await fetch(new URL(`api/metrics?run=${encodeURIComponent(run.id)}&after=${run.next}`, document.baseURI));
    if (answer.status === 404) run.standing = { ended: true, shown: "deleted" };
    if (!answer.ok) return answer.status === 404;
    run.take(await answer.json());
    return true;
  }

  // The words around the canvas: a line for each run, and the buttons.
  write() {
    const runs = [...this.runs.values()];
    while (this.lines.children.length > 3 * runs.length) this.lines.lastChild.remove();
    runs.forEach((run, at) => {
      if (!this.lines.children[3 * at]) {
        element("span", "", element("div", "name", this.lines));
        element("i", "", element("div", "bar", this.lines));
        element("div", "where", this.lines);
      }
      const [name, bar, where] = [0, 1, 2].map((column) => this.lines.children[3 * at + column]);
      name.style.setProperty("--colour", run.colour);
      bar.style.setProperty("--colour", run.colour);
      name.firstChild.textContent = name.title = run.label;
      bar.firstChild.style.width = `${100 * Math.min(1, (run.standing?.step || 0) / (run.standing?.total || 1))}%`;
      where.textContent = run.where();
      where.title = run.standing?.reason || "";
    });
    const names = [...new Set(["loss", ...runs.flatMap((run) => Object.keys(run.metrics))])];
    if (!names.includes(this.term)) this.term = "loss";
    this.choose(this.terms, names, this.term, (name) => { this.term = name; this.view = null; });
    this.choose(this.scales, ["linear", "log"], this.log ? "log" : "linear", (scale) => { this.log = scale === "log"; this.view = null; });
  }

  choose(group, names, chosen, pick) {
    const label = (name) => name.replace("_", " ").replace(/^mse$/, "MSE").replace(/^kl dim$/, "KL by unit").replace(/^kl$/, "KL");
    if (group.dataset.names !== names.join()) {
      group.replaceChildren(...names.map((name) => Object.assign(element("button"), { type: "button", textContent: label(name), value: name })));
      group.dataset.names = names.join();
    }
    for (const button of group.children) {
      button.setAttribute("aria-pressed", button.value === chosen);
      button.onclick = () => { pick(button.value); this.write(); this.draw(); };
    }
  }

  // Every curve that is shown: points {step, value} with how they are drawn.
  curves() {
    return [...this.runs.values()].flatMap((run) => {
      const metric = run.metrics[this.term];
      if (!metric) return [];
      const good = (points) => points.filter(({ value }) => value != null && (!this.log || value > 0));
      if (metric.parts) return Object.entries(metric.parts).map(([part, points]) => ({ run, kind: `unit ${part}`, points: good(points), width: 1.6, alpha: 0.75, bundle: true })).filter((curve) => curve.points.length);
      return [
        { run, kind: "train", points: good(metric.train), width: 1.2, alpha: 0.38 },
        { run, kind: "train, mean", points: good(metric.means.length > 1 ? metric.means : []), width: 2, dash: [6, 5] },
        { run, kind: "held out", points: good(metric.watch), width: 3.2, dots: true },
      ].filter((curve) => curve.points.length);
    });
  }

  // What the axes span: what the user chose, else all steps and the values there, without the first steps' outliers.
  ranges(curves) {
    const runs = [...this.runs.values()];
    const steps = runs.map((run) => (run.standing?.ended ? 0 : run.standing?.total || 0)).concat(curves.map((c) => c.points[c.points.length - 1].step));
    const x = this.view?.x ?? [0, Math.max(1, ...steps)];
    const sorted = curves.flatMap((c) => c.points).filter((p) => p.step >= x[0] && p.step <= x[1]).map((p) => this.fold(p.value)).sort((a, b) => a - b);
    if (!sorted.length) return { x, y: this.view?.y ?? (this.log ? [-2, 0] : [0, 1]) };
    const low = sorted[0], most = sorted[sorted.length - 1], high = Math.max(sorted[Math.floor(sorted.length * 0.98)], ...curves.filter((c) => c.dots).map((c) => this.fold(c.points[Math.min(1, c.points.length - 1)].value)));
    const top = most - low > 3 * (high - low) && high > low ? high : most, room = (top - low || Math.abs(top) || 1) * 0.06;
    return { x, y: this.view?.y ?? [!this.log && low >= 0 && (low < 0.35 * top || sorted.length < 20) ? 0 : low - room, top + room] };
  }

  fold(value) { return this.log ? Math.log10(value) : value; }

  draw() {
    const { canvas } = this, ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !this.data) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) [canvas.width, canvas.height] = [width * ratio, height * ratio].map(Math.round);
    const pen = (this.pen = canvas.getContext("2d")), style = getComputedStyle(canvas), curves = this.curves();
    this.em = (parseFloat(style.fontSize) || 16) / 16; // a large screen has larger letters
    const [left, right, top, bottom] = [PAD.left, PAD.right, PAD.top, PAD.bottom].map((pad) => pad * this.em);
    this.box = { x: left, y: top, w: width - left - right, h: height - top - bottom };
    this.ink = style.getPropertyValue("--st-text-color") || style.color;
    this.line = style.getPropertyValue("--st-border-color") || "#8884";
    this.range = this.ranges(curves);
    this.font = `${16 * this.em}px ${style.getPropertyValue("--st-font") || "sans-serif"}`;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.axes();
    pen.save();
    pen.beginPath();
    pen.rect(this.box.x, this.box.y - 4, this.box.w + 8, this.box.h + 4);
    pen.clip();
    curves.sort((a, b) => a.width - b.width).forEach((curve) => this.curve(curve));
    pen.restore();
    canvas.dataset.points = curves.reduce((sum, curve) => sum + curve.points.length, 0);
    if (!curves.length) this.text("The curve starts here in a moment.", this.box.x + this.box.w / 2, this.box.y + this.box.h / 2, "center", 0.6);
    this.cursor(curves);
    canvas.setAttribute("aria-label", `${this.data.units[this.term] ?? this.term} against the step, of ${[...this.runs.values()].map((run) => run.label).join(" and ")}`);
  }

  px(step) { const [from, to] = this.range.x; return this.box.x + ((step - from) / (to - from)) * this.box.w; }
  py(value) { const [from, to] = this.range.y; return this.box.y + this.box.h - ((this.fold(value) - from) / (to - from)) * this.box.h; }

  text(words, x, y, align, alpha = 0.85) {
    Object.assign(this.pen, { font: this.font, textAlign: align, textBaseline: "middle", fillStyle: this.ink, globalAlpha: alpha });
    this.pen.fillText(words, x, y);
    this.pen.globalAlpha = 1;
  }

  axes() {
    const { pen, box, em } = this, rule = (x0, y0, x1, y1) => { pen.beginPath(); pen.moveTo(x0, y0); pen.lineTo(x1, y1); pen.stroke(); };
    Object.assign(pen, { strokeStyle: this.line, lineWidth: 1 });
    for (const value of this.log ? decades(...this.range.y) : ticks(...this.range.y, 5)) {
      const y = Math.round(this.py(value)) + 0.5;
      rule(box.x, y, box.x + box.w, y);
      this.text(short(value), box.x - 9 * em, y, "right");
    }
    for (const step of ticks(...this.range.x, Math.max(3, box.w / (105 * em))).filter(Number.isInteger)) this.text(step.toLocaleString("en"), this.px(step), box.y + box.h + 17 * em, "center");
    Object.assign(pen, { strokeStyle: this.ink, globalAlpha: 0.5 });
    rule(box.x, box.y + box.h + 0.5, box.x + box.w, box.y + box.h + 0.5);
    this.text("step", box.x + box.w, box.y + box.h + 38 * em, "right", 1);
    this.text((this.data.units[this.term] ?? this.term) + (this.log ? ", log scale" : ""), 0, 12 * em, "left", 1);
  }

  curve({ run, points, width, alpha = 1, dash = [], dots }) {
    const { pen } = this;
    Object.assign(pen, { strokeStyle: run.colour, fillStyle: run.colour, lineWidth: width, globalAlpha: alpha, lineJoin: "round" });
    pen.setLineDash(dash);
    pen.beginPath();
    for (const { step, value } of points) pen.lineTo(this.px(step), this.py(value));
    pen.stroke();
    pen.setLineDash([]);
    if (dots && points.length < this.box.w / 12) for (const { step, value } of points) { pen.beginPath(); pen.arc(this.px(step), this.py(value), 4.2, 0, 7); pen.fill(); }
    pen.globalAlpha = 1;
  }

  // The crosshair with the values at the pointer, and the rectangle that is being dragged.
  cursor(curves) {
    const { pen, box, pointer, drag } = this;
    this.tip.hidden = !pointer || !curves.length || Boolean(drag);
    if (drag) {
      Object.assign(pen, { fillStyle: this.ink, globalAlpha: 0.12 });
      pen.fillRect(drag.x, box.y, pointer.x - drag.x, box.h);
      pen.globalAlpha = 1;
    } else if (!this.tip.hidden) {
      const [from, to] = this.range.x, step = from + ((pointer.x - box.x) / box.w) * (to - from);
      Object.assign(pen, { strokeStyle: this.ink, globalAlpha: 0.4, lineWidth: 1 });
      pen.strokeRect(pointer.x, box.y, 0, box.h);
      pen.globalAlpha = 1;
      this.tip.replaceChildren(element("b"));
      this.tip.firstChild.textContent = `step ${Math.round(step).toLocaleString("en")}`;
      for (const curve of this.told(curves, step)) this.tell(curve, step);
      const right = pointer.x > box.x + box.w / 2;
      this.tip.style.left = right ? "auto" : `${pointer.x + 14}px`;
      this.tip.style.right = right ? `${this.canvas.clientWidth - pointer.x + 14}px` : "auto";
    }
  }

  // The curves whose values stand at the pointer: of a bundle the largest ones there.
  told(curves, step) {
    if (!curves[0].bundle) return curves.reverse();
    return curves.sort((a, b) => nearest(b.points, step).value - nearest(a.points, step).value).slice(0, MOST_TOLD);
  }

  tell({ run, kind, points }, step) {
    const near = nearest(points, step);
    const line = element("div", "", this.tip), who = element("em", "", line);
    who.textContent = this.runs.size > 1 ? `${run.label}, ` : "";
    who.style.setProperty("--colour", run.colour);
    line.append(`${kind}: `, Object.assign(element("b"), { textContent: short(near.value) }));
  }

  listen() {
    const { canvas } = this, at = (event) => ({ x: Math.min(Math.max(event.offsetX, this.box.x), this.box.x + this.box.w), y: event.offsetY });
    canvas.onpointermove = (event) => { this.pointer = at(event); this.draw(); };
    canvas.onpointerleave = () => { if (!this.drag) { this.pointer = null; this.draw(); } };
    canvas.onpointerdown = (event) => { this.drag = this.pointer = at(event); canvas.setPointerCapture(event.pointerId); };
    canvas.onpointerup = (event) => {
      const ends = [this.drag?.x ?? 0, at(event).x].sort((a, b) => a - b), [from, to] = this.range.x;
      this.drag = null;
      if (ends[1] - ends[0] > 8) this.view = { x: ends.map((x) => from + ((x - this.box.x) / this.box.w) * (to - from)) };
      this.draw();
    };
    canvas.onpointercancel = () => { this.drag = null; };
    canvas.ondblclick = () => { this.view = null; this.draw(); };
    canvas.title = "Drag to zoom, double-click to see all";
  }
}

// About `count` round numbers from low to high.
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough)), step = power * [1, 2, 5, 10].find((times) => times * power >= rough);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + 1e-9 * step; at++) found.push(+(at * step).toPrecision(12));
  return found;
}

// 1, 2 and 5 of each power of ten between two logarithms; the powers alone where there are many; round numbers where there are few.
function decades(low, high) {
  const found = [];
  for (let power = Math.floor(low); power <= high; power++) for (const times of high - low > 2.5 ? [1] : [1, 2, 5]) found.push(times * 10 ** power);
  const inside = found.filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
  return inside.length > 1 ? inside : ticks(10 ** low, 10 ** high, 4);
}
