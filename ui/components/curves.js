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

class Chart {
  constructor(root) {
    this.runs = new Map();
    Object.assign(this, { log: false, clip: true, across: "step", smooth: 0 });
    this.lines = element("div", "lines", root);
    this.tools = element("div", "tools", root);
    this.terms = element("div", "group", this.tools);
    this.looks = element("div", "looks", this.tools);
    this.axis = element("div", "group", this.looks);
    this.scales = element("div", "group", this.looks);
    this.clips = element("div", "group", this.looks);
    this.clips.title = "Leave outliers out of the scale";
    this.smoother();
    this.frame = element("div", "frame", root);
    this.key = element("div", "key", root);
    this.key.innerHTML = `<span><svg viewBox="0 0 30 10"><path d="M0 5H30" stroke="currentColor" stroke-width="3"/><circle cx="15" cy="5" r="4" fill="currentColor"/></svg>held-out images</span>
      <span><svg viewBox="0 0 30 10"><path d="M0 5H30" stroke="currentColor" stroke-width="2" stroke-dasharray="5 4"/></svg>train, epoch mean</span>
      <span><svg viewBox="0 0 30 10"><path d="M0 7l4-4 4 5 4-6 4 5 4-4 5 5 5-4" fill="none" stroke="currentColor" opacity=".65"/></svg>train, each step</span>`;
    const files = element("span", "files", this.key);
    for (const kind of ["png", "svg"]) Object.assign(element("button", "", files), { type: "button", textContent: kind.toUpperCase(), title: `Save as ${kind.toUpperCase()}`, onclick: () => this.save(kind) });
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

  // How much the curves of the training are smoothed.
  smoother() {
    const label = element("label", "", this.looks);
    label.append("smooth");
    label.title = "Moving average of what is measured at each step: 0 shows it as it is";
    this.slider = Object.assign(element("input", "", label), { type: "range", min: 0, max: 0.99, step: 0.01, value: 0 });
    this.slider.setAttribute("aria-label", "Smoothing");
    this.slider.oninput = () => { this.smooth = +this.slider.value; this.store(); this.draw(); };
  }

  // The choices stand in the address: read once, written with each change.
  restore() {
    this.term = asked("curve") ?? this.term;
    this.across = ["epoch", "time"].find((kind) => kind === asked("x")) ?? "step";
    this.log = asked("scale") === "log";
    this.clip = asked("outliers") !== "shown";
    this.slider.value = this.smooth = Math.min(0.99, Math.max(0, +asked("smooth") || 0));
    const zoom = (asked("zoom") ?? "").split("_").map(Number);
    if (zoom.length === 2 && zoom[1] > zoom[0]) this.view = { x: zoom };
  }

  store() {
    if (!this.data.shared) return;
    keep("curve", this.term === "loss" ? null : this.term);
    keep("x", this.across === "step" ? null : this.across);
    keep("scale", this.log ? "log" : null);
    keep("outliers", this.clip ? null : "shown");
    keep("smooth", this.smooth || null);
    keep("zoom", this.view?.x.map((x) => +x.toPrecision(6)).join("_"));
  }

  show(data, component) {
    const first = !this.data;
    this.data = data;
    this.term ??= data.term;
    if (first && data.shared) {
      this.restore();
      this.deaf = hear("moment", (moment) => { this.moment = moment; this.draw(); });
    }
    this.component = component;
    this.canvas.style.height = `${data.height / 16}rem`;
    const before = this.runs;
    this.runs = new Map(data.runs.map((info) => [info.id, Object.assign(before.get(info.id) ?? new Run(info), info)]));
    if (before.size && [...before.keys()].join() !== [...this.runs.keys()].join()) this.view = null;
    this.write();
    this.draw();
    this.poll();
  }

  close() {
    clearTimeout(this.timer);
    this.closed = true;
    this.deaf?.();
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
    this.closer();
    if ([...this.runs.values()].some((run) => !run.standing?.ended)) this.timer = setTimeout(() => this.poll(), fine.every(Boolean) ? EVERY : RETRY);
    if (open.some((run) => run.live && run.standing?.ended)) this.component.setTriggerValue("ended", Date.now());
  }

  async ask(run) {
    const answer = await fetch(signed(`api/metrics?run=${encodeURIComponent(run.id)}&after=${run.next}`, run.token));
    if (answer.status === 404) run.standing = { ended: true, shown: "deleted" };
    if (!answer.ok) return answer.status === 404;
    run.take(await answer.json());
    return true;
  }

  // Curves that were thinned for the whole width are asked for again where a part of them is as wide.
  closer() {
    for (const run of this.runs.values()) {
      const steps = this.view && run.standing && run.coarseIn(this.view.x.map((x) => x * this.unit), this.across);
      if (run.near?.steps.join() === steps?.join()) continue;
      const near = (run.near = steps && { steps });
      if (near) fetch(signed(`api/metrics/stretch?run=${encodeURIComponent(run.id)}&first=${steps[0]}&last=${steps[1]}`, run.token))
        .then((answer) => answer.ok && answer.json())
        .then((found) => { if (found && near === run.near) { fill((near.metrics = {}), found); this.draw(); } }, () => {});
    }
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
    const found = new Set(["loss", ...runs.flatMap((run) => Object.keys(run.metrics))]), late = ["learning_rate", ...Object.keys(MEASURED)];
    const names = [...[...found].filter((name) => !late.includes(name)), ...late.filter((name) => found.has(name))];
    if (!names.includes(this.term) && runs.some((run) => run.standing)) this.term = "loss";
    this.key.classList.toggle("alone", runs.some((run) => run.metrics[this.term]?.parts || run.metrics[this.term]?.kind)); // such curves are of one kind
    const afresh = (change) => (value) => { change(value); this.view = null; };
    this.choose(this.terms, names, this.term, afresh((name) => { this.term = name; }), called);
    this.choose(this.axis, ["step", "epoch", "time"], this.across, afresh((kind) => { this.across = kind; }));
    this.choose(this.scales, ["linear", "log"], this.log ? "log" : "linear", afresh((scale) => { this.log = scale === "log"; }));
    this.choose(this.clips, ["clip"], this.clip ? "clip" : "", afresh(() => { this.clip = !this.clip; }));
  }

  choose(group, names, chosen, pick, label = (name) => name) {
    if (group.dataset.names !== names.join()) {
      group.replaceChildren(...names.map((name) => Object.assign(element("button"), { type: "button", textContent: label(name), value: name })));
      group.dataset.names = names.join();
    }
    for (const button of group.children) {
      button.setAttribute("aria-pressed", button.value === chosen);
      button.onclick = () => { pick(button.value); this.store(); this.write(); this.draw(); };
    }
  }

  // Every curve that is shown: points {x, step, value} with how they are drawn.
  curves() {
    this.unit = this.across === "time" ? this.timeUnit() : 1;
    return [...this.runs.values()].flatMap((run) => run.curves(this).filter((curve) => curve.points.length).map((curve) =>
      ({ run, ...curve, points: curve.points.map((point) => ({ ...point, x: run.across(point.step, this.across) / this.unit })) })));
  }

  // Seconds, minutes or hours, by the longest run.
  timeUnit() {
    const longest = Math.max(0, ...[...this.runs.values()].map((run) => run.times.at(-1)?.seconds ?? 0));
    return longest > 10800 ? 3600 : longest > 180 ? 60 : 1;
  }

  // What the axes span: what the user chose, else all steps and the values there.
  ranges(curves) {
    const open = (run) => !run.standing?.ended && this.across !== "time";
    const ends = [...this.runs.values()].map((run) => (open(run) ? run.across(run.horizon(), this.across) : 0)).concat(curves.map((c) => c.points[c.points.length - 1].x));
    const x = this.view?.x ?? [0, Math.max(...ends) || 1];
    return { x, y: reach(curves, x, this) };
  }

  draw() {
    const { canvas } = this, ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !this.data) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) [canvas.width, canvas.height] = [width * ratio, height * ratio].map(Math.round);
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas), curves = this.curves(), of = (name) => style.getPropertyValue(name);
    const em = (parseFloat(style.fontSize) || 16) / 16; // a large screen has larger letters
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.look = { em, ink: of("--st-text-color") || style.color, paper: of("--st-background-color") || "#ffffff", line: of("--st-border-color") || "#8884", font: `${16 * em}px ${of("--st-font") || "sans-serif"}` };
    this.plot = new Plot(pen, this.look, this.seen(curves, width, height));
    this.plot.draw(curves);
    canvas.dataset.points = curves.reduce((sum, curve) => sum + curve.points.length, 0);
    const { box } = this.plot;
    const gone = [...this.runs.values()].every((run) => run.standing?.ended);
    if (!curves.length) this.plot.text(gone ? "It ended before its first point." : "The curve starts here in a moment.", box.x + box.w / 2, box.y + box.h / 2, "center", 0.6);
    this.drawn = [...curves];
    this.marker(curves);
    this.cursor(curves);
    canvas.setAttribute("aria-label", `${this.data.units[this.term] ?? this.term} against the ${this.across}, of ${[...this.runs.values()].map((run) => run.label).join(" and ")}`);
  }

  // Where the plot lies, and what it spans.
  seen(curves, width, height) {
    const [left, right, top, bottom] = [PAD.left, PAD.right, PAD.top, PAD.bottom].map((pad) => pad * this.look.em);
    const titles = { x: this.axisTitle(), y: (this.data.units[this.term] ?? this.term) + (this.log ? ", log scale" : "") };
    return { box: { x: left, y: top, w: width - left - right, h: height - top - bottom }, range: this.ranges(curves), log: this.log, whole: this.across === "step", width, titles };
  }

  axisTitle() { return this.across === "time" ? `time, ${{ 1: "s", 60: "min", 3600: "h" }[this.unit]}` : this.across; }

  // The plot as it is seen now, as a file: dark on white, with the names of its curves below it.
  save(kind) {
    const { canvas } = this, { em } = this.look, { width, box } = this.plot, runs = [...this.runs.values()], line = 24 * em;
    const pen = new Vector(width, canvas.clientHeight + line * (runs.length + 0.5), canvas.getContext("2d"));
    const curves = this.curves(), plot = new Plot(pen, { ...this.look, ink: "#1c1f24", paper: "#ffffff", line: "#d7dae0" }, this.seen(curves, width, canvas.clientHeight));
    plot.draw(curves);
    runs.forEach((run, at) => {
      const y = canvas.clientHeight + line * (at + 0.5);
      pen.made("rect", { x: box.x, y: y - 6 * em, width: 12 * em, height: 12 * em, rx: 3 * em, fill: run.colour });
      plot.text(run.label, box.x + 22 * em, y, "left", 1);
    });
    pen.file(`curves-${this.term}`, kind);
  }

  // Where the moment that everything shows lies.
  marker(curves) {
    const { moment, plot } = this, run = this.runs.get(moment?.run);
    delete this.canvas.dataset.marker;
    if (!run) return;
    const x = run.across(moment.sample[0], this.across) / this.unit, near = curves.findLast((curve) => curve.run === run && (curve.dots || !curve.bundle));
    const accent = getComputedStyle(this.canvas).getPropertyValue("--st-primary-color") || plot.ink;
    if (plot.marker(x, near && along(near.points, x), accent)) this.canvas.dataset.marker = moment.sample[0];
  }

  // The crosshair with the values at the pointer, and the rectangle that is being dragged.
  cursor(curves) {
    const { pointer, drag, plot } = this;
    this.tip.hidden = !pointer || !curves.length || Boolean(drag);
    if (drag) plot.band(drag.x, pointer.x);
    else if (!this.tip.hidden) {
      const x = plot.under(pointer.x), { step } = nearest(curves[curves.length - 1].points, x);
      plot.hair(pointer.x);
      this.tip.replaceChildren(element("b"));
      this.tip.firstChild.textContent = this.across === "step" ? `step ${Math.round(x).toLocaleString("en")}` : `${this.axisTitle()} ${+x.toPrecision(3)} · step ${step.toLocaleString("en")}`;
      for (const curve of this.told(curves, x)) this.tell(curve, x);
      const right = pointer.x > plot.box.x + plot.box.w / 2;
      this.tip.style.left = right ? "auto" : `${pointer.x + 14}px`;
      this.tip.style.right = right ? `${this.canvas.clientWidth - pointer.x + 14}px` : "auto";
    }
  }

  // The curves whose values stand at the pointer: of a bundle the largest ones there.
  told(curves, x) {
    if (!curves[0].bundle) return curves.reverse();
    return curves.sort((a, b) => nearest(b.points, x).value - nearest(a.points, x).value).slice(0, MOST_TOLD);
  }

  tell({ run, kind, points }, x) {
    const near = nearest(points, x);
    const line = element("div", "", this.tip), who = element("em", "", line);
    who.textContent = this.runs.size > 1 ? `${run.label}, ` : "";
    who.style.setProperty("--colour", run.colour);
    line.append(`${kind}: `, Object.assign(element("b"), { textContent: short(near.value) }));
  }

  listen() {
    const { canvas } = this, at = (event, { x, w } = this.plot.box) => ({ x: Math.min(Math.max(event.offsetX, x), x + w), y: event.offsetY });
    canvas.onpointermove = (event) => { this.pointer = at(event); this.draw(); };
    canvas.onpointerleave = () => { if (!this.drag) { this.pointer = null; this.draw(); } };
    canvas.onpointerdown = (event) => { this.drag = this.pointer = at(event); canvas.setPointerCapture(event.pointerId); };
    canvas.onpointerup = (event) => {
      const ends = [this.drag?.x ?? 0, at(event).x].sort((a, b) => a - b), [run] = this.runs.values();
      this.drag = null;
      if (ends[1] - ends[0] > 8) this.view = { x: ends.map((x) => this.plot.under(x)) };
      else if (this.data.shared && this.drawn?.length) say("seek", { run: run.id, step: nearest(this.drawn[this.drawn.length - 1].points, this.plot.under(ends[1])).step });
      this.store();
      this.draw();
      this.closer();
    };
    canvas.onpointercancel = () => { this.drag = null; };
    canvas.ondblclick = () => { this.view = null; this.store(); this.draw(); };
    canvas.title = "Drag to zoom, double-click to see all";
  }
}
