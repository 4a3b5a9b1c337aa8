// The held-out images of the runs, under them what the encoder sees where that differs, and what each run makes of them. Polls api/samples while a run is live.
const EVERY = 500, RETRY = 2000, GAP = 4, FETCHED = 32, KEPT = 500, FILM = 5000, REST = 2500;
const PLAY = '<svg viewBox="0 0 10 10"><path d="M2 0l8 5-8 5z"/></svg>', PAUSE = '<svg viewBox="0 0 10 10"><path d="M1 0h3v10H1zM6 0h3v10H6z"/></svg>';
const walls = new WeakMap();

export default function strips(component) {
  const { data, parentElement } = component;
  let wall = walls.get(parentElement);
  if (!wall) walls.set(parentElement, (wall = new Wall(parentElement.querySelector(".root"))));
  wall.show(data);
  return () => { wall.close(); walls.delete(parentElement); };
}

const moment = ([step, epoch, seconds]) => step === 0 ? "untrained" : [epoch ? `epoch ${epoch}` : `step ${step}`, ...(seconds == null ? [] : [`${seconds.toFixed(seconds < 100 ? 1 : 0)} s`])].join(" · ");
// A run that goes on may draw a step again: its seconds tell the two pictures apart. `drawn`: what came with the document.
const strip = (run, [step, , seconds], count) => run.drawn?.sample ?? `api/sample/${run.id}/${step}.png?n=${count}&v=${seconds ?? 0}&token=${run.token}`;
// The sample of that step, or the one next to it; the newest at no step.
const nearest = (samples, at) => at === Infinity ? samples[samples.length - 1] : [...samples].sort(([a], [b]) => Math.abs(a - at) - Math.abs(b - at))[0];
// The line of what the decoder of a run should give.
const original = (of, caption = of.samples[0]?.[2] == null ? "recorded" : "held-out images") => ({
  of, title: of.target ? "Target" : "Original", caption: of.target || caption, path: (n) => of.drawn?.inputs ?? `api/inputs/${of.id}.png?n=${n}&token=${of.token}`,
});
const pictures = new Map();

// The decoded strip at this address, once; null until it is there.
function picture(path, drawn) {
  if (!pictures.has(path)) {
    const image = new Image();
    image.onload = () => drawn();
    image.onerror = () => pictures.delete(path);
    image.src = address(path);
    pictures.set(path, image);
    if (pictures.size > KEPT) pictures.delete(pictures.keys().next().value);
  }
  const image = pictures.get(path);
  return image?.complete && image.naturalWidth ? image : null;
}

class Wall {
  constructor(root) {
    this.runs = new Map();
    this.at = Infinity; // the step that is shown; Infinity follows the newest
    this.rows = element("div", "rows", root);
    this.note = element("div", "note", root);
    this.note.textContent = "The first pictures come in a moment.";
    this.time = element("div", "time", root);
    this.button = Object.assign(element("button", "", this.time), { type: "button", innerHTML: PLAY });
    this.button.setAttribute("aria-label", "Play from the untrained model on");
    this.slider = Object.assign(element("input", "", this.time), { type: "range", min: 0, step: 1 });
    this.slider.setAttribute("aria-label", "Training step");
    this.told = element("div", "at", this.time);
    this.slider.oninput = () => { this.pause(); this.seek(+this.slider.value); };
    this.deaf = hear("seek", ({ run, step }) => { if (this.data?.shared && this.runs.has(run)) { this.pause(); this.near(step); } });
    this.button.onclick = () => (this.playing ? this.pause() : this.play());
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(root);
    this.woken = () => { if (!document.hidden) this.poll(); };
    document.addEventListener("visibilitychange", this.woken);
  }

  show(data) {
    if (data.shared && !this.data && asked("at") != null) this.at = Number(asked("at")) || 0;
    this.data = data;
    const before = this.runs;
    this.runs = new Map(data.runs.map((info) => [info.id, Object.assign(before.get(info.id) ?? { samples: [], ended: false }, info)]));
    if (before.size && [...before.keys()].join() !== [...this.runs.keys()].join()) this.at = Infinity;
    this.looping = data.loop && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.draw();
    if (!before.size && this.looping) this.play();
    this.poll();
  }

  close() {
    clearTimeout(this.timer);
    this.pause();
    this.deaf();
    this.closed = true;
    this.resized.disconnect();
    document.removeEventListener("visibilitychange", this.woken);
  }

  async poll() {
    clearTimeout(this.timer);
    const open = [...this.runs.values()].filter((run) => !run.ended);
    if (this.polling || this.closed || document.hidden || !open.length) return;
    this.polling = true;
    const fine = await Promise.all(open.map((run) => this.ask(run).catch(() => false)));
    this.polling = false;
    if (this.closed) return;
    this.draw();
    if (this.looping && !this.playing) this.play();
    if ([...this.runs.values()].some((run) => !run.ended)) this.timer = setTimeout(() => this.poll(), fine.every(Boolean) ? this.rest() : RETRY);
  }

  // Pictures come more and more slowly: half of the time between the last two, in milliseconds.
  rest() {
    const gaps = [...this.runs.values()].filter((run) => !run.ended).map(({ samples }) => samples.slice(-2)).map(([one, next]) => next ? 500 * (next[2] - one[2]) : 0);
    return Math.min(RETRY, Math.max(EVERY, Math.min(...gaps)));
  }

  async ask(run) {
    const answer = await fetch(signed(`api/samples?run=${encodeURIComponent(run.id)}`, run.token));
    if (answer.status === 404) run.ended = true;
    if (answer.ok) Object.assign(run, await answer.json());
    return answer.ok || answer.status === 404;
  }

  // The steps of which some run has a sample, or, once all have ended, those of the longest run, of equal ones that with the fewest: at
  // each of these all rows show about the same moment. Of steps that are all but the same, the last.
  steps() {
    const runs = [...this.runs.values()].filter((run) => run.samples.length), ended = runs.every((run) => run.ended);
    const last = ({ samples }) => samples[samples.length - 1][0], longest = Math.max(...runs.filter(({ samples }) => samples.length > 1).map(last));
    const asked = ended && longest > 0 ? runs.filter((run) => last(run) === longest && run.samples.length > 1).sort((a, b) => a.samples.length - b.samples.length).slice(0, 1) : runs;
    const all = asked.flatMap((run) => run.samples.map(([step]) => step)).sort((a, b) => a - b), near = all[all.length - 1] / 200;
    return all.filter((step, place) => place === all.length - 1 || all[place + 1] - step > near);
  }

  seek(place) {
    const steps = this.steps();
    this.at = place >= steps.length - 1 ? Infinity : steps[place];
    if (this.data.shared) keep("at", this.at === Infinity ? null : this.at);
    this.draw();
  }

  // The sample nearest to a step.
  near(step) {
    const steps = this.steps(), far = steps.map((each) => Math.abs(each - step));
    if (steps.length) this.seek(far.indexOf(Math.min(...far)));
  }

  // Tell the others what is shown, once.
  share(runs, step) {
    const [run] = runs, sample = run.samples.filter(([each]) => each <= step).pop(), told = `${run.id} ${sample}`;
    if (!sample || told === this.shared) return;
    this.shared = told;
    say("moment", { run: run.id, sample, samples: run.samples, newest: this.at === Infinity });
  }

  // The film from here, or from the start where this is the end; it lasts FILM however many pictures there are.
  play() {
    const steps = this.steps(), last = steps.length - 1;
    let place = this.at === Infinity ? 0 : steps.indexOf(this.at);
    const next = () => {
      this.seek(place);
      if (place++ >= last && !this.looping) return this.pause();
      if (place > last) place = 0;
      this.playing = setTimeout(next, place ? Math.max(80, FILM / steps.length) : REST);
    };
    if (last < 1) return;
    this.button.innerHTML = PAUSE;
    next();
  }

  pause() {
    clearTimeout(this.playing);
    this.playing = null;
    this.looping = false;
    this.button.innerHTML = PLAY;
  }

  draw() {
    if (!this.data || this.closed) return;
    const runs = [...this.runs.values()], first = runs.find((run) => run.count), steps = this.steps();
    this.note.hidden = Boolean(first);
    if (!first && runs.length && runs.every((run) => run.ended)) {
      this.note.textContent = "No pictures were kept of this run.";
      say("drawn", this.rows);
    }
    this.time.hidden = steps.length < 2;
    const shown = first ? this.shown(runs, first) : [];
    while (this.rows.children.length > 2 * shown.length) this.rows.lastChild.remove();
    if (!first) return;
    while (this.rows.children.length < 2 * shown.length) {
      element("div", "name", this.rows).append(element("b"), element("span"));
      element("canvas", "", element("div", "", this.rows));
    }
    if (this.at !== Infinity && steps.length && !steps.includes(this.at)) this.at = steps.filter((step) => step <= this.at).pop() ?? steps[0]; // thinned out, or from a link
    const place = this.at === Infinity ? steps.length - 1 : steps.indexOf(this.at);
    if (this.data.shared && steps.length) this.share(runs, steps[place]);
    Object.assign(this.slider, { max: Math.max(0, steps.length - 1), value: Math.max(0, place) });
    this.slider.style.setProperty("--share", `${(100 * place) / Math.max(1, steps.length - 1)}%`);
    this.told.textContent = `step ${(steps[place] ?? 0).toLocaleString("en")}`;
    this.slider.setAttribute("aria-valuetext", this.told.textContent);
    shown.forEach((line, index) => this.row(index, line));
    if ([...this.rows.querySelectorAll("canvas")].every((canvas) => canvas.dataset.drawn)) say("drawn", this.rows);
    for (const run of runs)
      for (const each of run.samples) // so that the slider never waits
        for (const kind of this.data.shared ? ["/sample/", "/error/"] : ["/sample/"]) picture(strip(run, each, Math.min(FETCHED, run.count)).replace("/sample/", kind), () => {});
  }

  // The lines from top to bottom: what the decoder should give, again wherever a run watches other images than the one above it, then for each
  // run what its encoder sees, unless that is the same, and what it makes of it.
  shown(runs, first) {
    const lines = [original(first)];
    let { watched } = first;
    for (const run of runs) {
      const sample = nearest(run.samples, this.at), of = run.count ? run : first;
      if (of.watched !== watched) lines.push(original(of, "other held-out images"));
      ({ watched } = of);
      if (run.seen) lines.push({ of, title: "Input", caption: runs.length > 1 ? run.label : "the encoder sees", path: (n) => `api/seen/${run.id}.png?n=${n}&token=${run.token}` });
      lines.push({ of, title: run.label, caption: sample ? moment(sample) : "waiting", path: sample && ((n) => strip(run, sample, n)), colour: run.colour });
      if (this.data.shared && sample) lines.push({ of, title: "Error", caption: "blue too dark, red too bright", path: (n) => strip(run, sample, n).replace("/sample/", "/error/") });
    }
    return lines;
  }

  // One row: its name, and as many images as fit into its lines, each pixel a whole number of the screen's.
  row(index, { of: { shape, count }, title, caption, path, colour }) {
    const [name, cell] = [this.rows.children[2 * index], this.rows.children[2 * index + 1]], canvas = cell.firstChild;
    name.className = colour ? "name run" : "name";
    name.firstChild.textContent = name.title = title;
    name.lastChild.textContent = caption;
    if (colour) name.style.setProperty("--colour", colour);
    const [, high, wide] = shape, ratio = window.devicePixelRatio || 1, gap = Math.round(GAP * ratio), room = Math.floor(cell.clientWidth * ratio);
    if (!room) return;
    const fetched = Math.min(FETCHED, count), large = this.data.loop && innerHeight > 950 ? 1.35 : 1; // the first page of a tall screen has room
    const wanted = (large * this.data.size * ratio * parseFloat(getComputedStyle(cell).fontSize)) / 16;
    const scale = Math.max(1, Math.min(Math.round(wanted / wide), Math.floor((room + gap) / Math.min(4, fetched) / (wide + gap / 2))));
    const across = Math.max(1, Math.min(fetched, Math.floor((room + gap) / (wide * scale + gap))));
    const shown = Math.min(fetched, across * this.data.lines), down = Math.ceil(shown / across);
    const image = path && picture(path(fetched), () => this.draw());
    if (!image && path && canvas.dataset.drawn) return; // keep the picture before until the next is there
    const size = [across * (wide * scale + gap) - gap, down * (high * scale + gap) - gap];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    Object.assign(canvas.style, { width: `${size[0] / ratio}px`, height: `${size[1] / ratio}px` });
    const pen = canvas.getContext("2d");
    Object.assign(pen, { imageSmoothingEnabled: false, fillStyle: "#8883" });
    pen.clearRect(0, 0, ...size);
    for (let at = 0; at < shown; at++) {
      const place = [(at % across) * (wide * scale + gap), Math.floor(at / across) * (high * scale + gap), wide * scale, high * scale];
      if (image) pen.drawImage(image, at * wide, 0, wide, high, ...place);
      else pen.fillRect(...place);
    }
    canvas.dataset.drawn = image ? "1" : "";
  }
}
