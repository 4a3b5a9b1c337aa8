// A run at one moment: its points, which glide from sample to sample, the error of each class, and the best and worst images.
// Listens for the moment that the slider says, and reads api/moment and api/extremes for it.
const GLIDE = 220, RADII = 2.7, UNIT = 1000;
const views = new WeakMap();

export default function (component) {
  const { data, parentElement } = component;
  let view = views.get(parentElement);
  if (!view) views.set(parentElement, (view = new View(parentElement.querySelector(".root"))));
  view.show(data);
  return () => { view.close(); views.delete(parentElement); };
}

const thousandths = (error) => { if (error == null) return "–"; const value = 1e3 * error; return value >= 99.95 ? value.toFixed(0) : value.toPrecision(3); };
const KINDS = { best: "Best", typical: "Typical", worst: "Worst" };

class View {
  constructor(root) {
    root.hidden = true;
    this.root = root;
    this.answers = new Map();
    this.picked = asked("class");
    const part = (name, title, note) => {
      const made = element("section", name, root), head = element("header", "", made);
      element("b", "", head).textContent = title;
      element("span", "", head).textContent = note;
      return element("div", "inside", made);
    };
    this.field = element("canvas", "", part("points", "Codes", ""));
    this.field.setAttribute("role", "img");
    this.images = part("images", "Best, typical, worst", "");
    this.bars = part("bars", "Error by class", "MSE × 10⁻³");
    this.bars.setAttribute("role", "listbox");
    this.note = element("p", "", root);
    this.resized = new ResizeObserver(() => this.paint());
    this.resized.observe(this.field);
    this.deaf = hear("moment", (moment) => { if (moment.run === this.data?.run.id) { this.moment = moment; this.seek(); } });
  }

  show(data) { this.data = data; }

  close() {
    this.closed = true;
    this.deaf();
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
  }

  // What is told of a sample, kept: a failed answer is a sentence.
  async read(path) {
    if (!this.answers.has(path)) {
      const answer = await fetch(signed(path, this.data.run.token)).then((found) => found.json()).catch(() => ({ problem: "The lab does not answer." }));
      if (answer.problem) return answer;
      this.answers.set(path, answer);
      if (this.answers.size > 300) this.answers.delete(this.answers.keys().next().value);
    }
    return this.answers.get(path);
  }

  path(kind, [step, , seconds]) {
    return `api/${kind.replace("*", `${this.data.run.id}/${step}`)}?label=${this.picked ?? ""}&v=${seconds ?? 0}`;
  }

  // Show the newest moment that was said; one question at a time.
  async seek() {
    if (this.busy || this.closed) return;
    this.busy = true;
    const { sample, samples } = this.moment;
    this.about ??= await this.about_();
    const answer = this.about && (await this.read(this.path("moment/*", sample)));
    this.busy = false;
    if (this.closed || !answer) return;
    if (this.moment.sample !== sample) this.seek();
    if (answer.problem) return this.say(answer.problem);
    this.root.hidden = false;
    this.answer = answer;
    this.root.dataset.step = sample[0];
    this.glide(answer.places);
    this.drawBars(answer);
    this.drawImages(answer, sample);
    this.ahead(samples);
  }

  async about_() {
    const about = await this.read(`api/watched/${this.data.run.id}`);
    if (about.problem) return void this.say(about.problem);
    this.classes = new Map(about.classes.map(([label, name, colour]) => [label, { name, colour }]));
    this.root.classList.toggle("one-class", about.classes.length < 2);
    if (!this.classes.has(Number(this.picked))) this.picked = null;
    return about;
  }

  // Read the other samples one by one while nothing else is asked for, so that the film does not wait.
  async ahead(samples) {
    if (this.reading) return;
    this.reading = true;
    for (const sample of samples) if (!this.busy && !this.closed && !document.hidden) await this.read(this.path("moment/*", sample));
    this.reading = false;
  }

  say(sentence) {
    this.root.hidden = false;
    this.note.textContent = sentence;
  }

  pick(label) {
    this.picked = label == null || String(label) === this.picked ? null : String(label);
    keep("class", this.picked);
    this.seek();
  }

  // Move the points from where they are to where they are now.
  glide(places) {
    const from = this.places?.length === places.length && !matchMedia("(prefers-reduced-motion: reduce)").matches ? this.places : places, start = performance.now();
    cancelAnimationFrame(this.frame);
    const move = (now) => {
      const share = Math.min(1, Math.max(0, (now - start) / GLIDE)), eased = share * (2 - share);
      this.places = share < 1 ? places.map((to, at) => from[at] + (to - from[at]) * eased) : places;
      this.paint();
      if (share < 1) this.frame = requestAnimationFrame(move);
    };
    move(start);
  }

  paint() {
    const { field, places, about } = this, ratio = window.devicePixelRatio || 1, side = field.clientWidth;
    if (!side || !places || !about) return;
    if (field.width !== Math.round(side * ratio)) field.width = field.height = Math.round(side * ratio);
    const pen = field.getContext("2d"), half = field.width / 2, dot = Math.max(3, (side / (places.length < 800 ? 60 : 105)) * ratio), limit = half - dot;
    pen.clearRect(0, 0, field.width, field.height);
    const order = [...about.points.keys()].filter((at) => 2 * at < places.length), chosen = (at) => this.picked == null || String(about.points[at]) === this.picked;
    const inside = (place) => half + Math.max(-limit, Math.min(limit, (place / UNIT / RADII) * half));
    for (const wanted of [false, true]) // those that are chosen lie on top
      for (const at of order) {
        if (chosen(at) !== wanted) continue;
        Object.assign(pen, { fillStyle: this.classes.get(about.points[at])?.colour ?? "#888", globalAlpha: wanted ? 0.85 : 0.12 });
        pen.fillRect(inside(places[2 * at]) - dot / 2, inside(-places[2 * at + 1]) - dot / 2, dot, dot);
      }
    field.setAttribute("aria-label", `Codes of ${order.length} ${about.split} images at step ${this.root.dataset.step}`);
    this.field.parentElement.previousSibling.lastChild.textContent = `${order.length.toLocaleString("en")} ${{ val: "validation", test: "test" }[about.split] ?? ""} images`;
  }

  drawBars({ classes, mean }) {
    const most = Math.max(mean, ...classes.map(([, error]) => error)) || 1, rows = [[null, mean, this.about.count], ...classes];
    if (this.bars.children.length !== rows.length) this.bars.replaceChildren(...rows.map(() => this.bar()));
    rows.forEach(([label, error, count], at) => {
      const row = this.bars.children[at], known = this.classes.get(label);
      row.style.setProperty("--colour", known?.colour ?? "var(--st-text-color)");
      row.style.setProperty("--share", `${(100 * error) / most}%`);
      row.children[0].textContent = row.children[0].title = label == null ? "all" : known?.name ?? label;
      row.children[2].textContent = thousandths(error);
      row.title = `${count.toLocaleString("en")} images`;
      row.setAttribute("aria-selected", this.picked === (label == null ? null : String(label)));
      row.onclick = () => this.pick(label);
    });
  }

  bar() {
    const row = element("button");
    row.type = "button";
    row.setAttribute("role", "option");
    for (const tag of ["span", "i", "em"]) element(tag, "", row);
    return row;
  }

  // The strip has all targets above all reconstructions; each tile is one pair of it.
  drawImages({ extremes, pooled }, sample) {
    const strip = new Image(), key = this.path("extremes/*.png", sample);
    this.strip = key;
    strip.onload = () => {
      if (this.strip !== key || this.closed) return;
      const wide = strip.naturalWidth / extremes.length, high = strip.naturalHeight / 2;
      this.images.replaceChildren(...Object.entries(KINDS).map(([kind, title]) => {
        const group = element("div", "kind");
        group.style.setProperty("--across", this.across()[0]);
        element("b", "", group).textContent = title;
        extremes.forEach((one, at) => { if (one.kind === kind) group.append(this.tile(strip, one, at, wide, high)); });
        return group;
      }));
      this.images.dataset.step = sample[0];
      const others = extremes.some((one) => !one.kept);
      this.note.textContent = pooled ? "The data cannot be read: only the images that every sample keeps are among these."
        : others ? "* drawn by the newest model: this sample does not keep it. The error is that of this moment." : "";
      this.images.parentElement.firstChild.lastChild.textContent = `of ${this.picked == null ? "all" : this.classes.get(Number(this.picked)).name} · MSE × 10⁻³ below · ${this.about.count.toLocaleString("en")} images`;
    };
    strip.onerror = () => this.say("The pictures of this moment cannot be read.");
    strip.src = signed(key, this.data.run.token);
  }

  // How many tiles stand side by side in a third of the room, and how wide they may be: four in a row, or two above two.
  across() {
    const third = (this.images.clientWidth - 32) / 3, count = third < 300 ? 2 : 4;
    return [count, Math.min(count === 2 ? 60 : 92, (third - 12) / count)];
  }

  tile(strip, one, at, wide, high) {
    const figure = element("figure"), canvas = element("canvas", "", figure), ratio = window.devicePixelRatio || 1;
    const room = this.across()[1] * ratio, scale = wide > room ? room / wide : Math.floor(room / wide);
    const [w, h] = [Math.round(wide * scale), Math.round(high * scale)], gap = Math.round(3 * ratio);
    Object.assign(canvas, { width: w, height: 2 * h + gap });
    Object.assign(canvas.style, { width: `${w / ratio}px`, height: `${(2 * h + gap) / ratio}px` });
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = scale < 1;
    for (const row of [0, 1]) pen.drawImage(strip, at * wide, row * high, wide, high, 0, row * (h + gap), w, h);
    const name = this.classes.get(one.label)?.name ?? one.label;
    element("figcaption", "", figure).textContent = `${thousandths(one.error)}${one.kept ? "" : "*"}`;
    figure.title = `${name}: number ${one.rank.toLocaleString("en")} from the best`;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${KINDS[one.kind]}: ${name}, error ${thousandths(one.error)} thousandths; above what should come, below what came`);
    return figure;
  }
}
