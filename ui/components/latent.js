// The latent map: every code a point, drawn by WebGL2 or the processor, with a canvas on top for axes, lasso, pins and the hovered point.
//
// It reads points from a binary route, pictures of points from a tile route and pictures of empty places from a decode
// route. Python is only told what was selected ("selection"), which places were pinned ("pins") and which line was drawn
// ("path"); hovering, zooming, turning, filtering and decoding under the cursor cost no rerun. `data` is documented in
// ui/latent_map.py. In three dimensions x and y of the points are where they are seen: `turn` makes them from `raw`.

const GREY = "#8a8f98";
const QUICK = 200000, SETTLED = 150;  // points that the processor draws while they are moved, and milliseconds without a move
const AHEAD = 32, PIXELS = 32768;  // pictures of points around the pointer that are read before it reaches them, at most so large together
const maps = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  if (!maps.has(parentElement)) maps.set(parentElement, new LatentMap(parentElement, data.points));
  maps.get(parentElement).update(data, setStateValue);
  return () => { maps.get(parentElement)?.close(); maps.delete(parentElement); };
}

class LatentMap {
  constructor(parent, first) {
    this.first = { url: first, answer: answer(first) };  // asked for before a painter is made, which takes as long
    const root = (this.root = document.createElement("div"));
    root.className = "latent-map";
    root.innerHTML = `<div class="plot"><canvas class="field"></canvas><canvas class="over" role="img"></canvas>
      <div class="said">Reading the codes …</div><div class="card"><div class="title"></div><div class="pictures"></div><div class="away"><i></i></div><div class="more"></div></div>
      </div><div class="side"><div class="tools">${Hand.tools()}</div><div class="legend"></div></div>`;
    parent.appendChild(root);
    root.latentMap = this;  // for the browser tests
    this.find = (selector) => root.querySelector(selector);
    this.plot = this.find(".plot");
    this.field = this.find(".field");
    try { this.painter = new GLPainter(this.field); } catch {
      this.field.replaceWith((this.field = this.field.cloneNode()));
      this.painter = new CanvasPainter(this.field);
    }
    Object.assign(this, { only: new Set(), chosen: null, backdrop: null, turn: null, few: [], hover: -1, glided: -Infinity, timings: [] });
    this.overlay = new Overlay(this, this.find(".over"));
    this.card = new Card(this, this.find(".card"));
    this.legend = new Legend(this, this.find(".legend"));
    this.pins = new Pins(this);
    this.hand = new Hand(this, this.find(".over"), this.find(".tools"));
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.plot);
  }

  close() {
    this.closed = true;
    this.watch.disconnect();
    this.hand.close();
    cancelAnimationFrame(this.frame);
    this.painter.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }

  /** New data from Python, or the same with another theme. */
  update(data, tell) {
    const old = this.data;
    Object.assign(this, { data, tell });
    const style = getComputedStyle(this.root), from = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
    this.ink = from("--st-text-color", "#222222");
    this.paper = from("--st-background-color", "#ffffff");
    this.accent = from("--st-primary-color", "#3355d1");
    this.card.refused = 0;
    this.hand.offer(data);
    if (old) this.pins.refresh(old, data);
    if (old && old.plane !== data.plane) setTimeout(() => this.hand.forget());  // a place means another code now
    const looks = JSON.stringify([data.groups, data.colours, data.named, data.behind, this.paper]), same = looks === this.looks;
    this.looks = looks;
    if (old?.points !== data.points) this.load(data.points); else if (same) this.redraw(false); else this.paint();
    if (old?.selected !== data.selected) this.recall(data.selected);
  }

  /** A selection that stands in the address; one that was drawn here meanwhile goes before it. */
  async recall(url) {
    if (this.drawn && this.drawn !== this.data.drawn) return;
    const chosen = url ? new Set(new Int32Array(await (await answer(url)).arrayBuffer())) : null;
    if (url !== this.data.selected || (this.drawn && this.drawn !== this.data.drawn)) return;
    const before = this.chosen ?? new Set(), now = chosen ?? new Set();
    if (before.size === now.size && [...now].every((index) => before.has(index))) return;  // it was drawn here
    this.chosen = now.size ? now : null;
    this.paint();
  }

  async load(url) {
    try {
      const asked = this.first?.url === url ? this.first.answer : answer(url);
      this.first = null;
      const points = parse(await (await asked).arrayBuffer());
      const { behind } = this.data, backdrop = this.backdrop && behind?.url ? columns(parse(await (await answer(behind.url)).arrayBuffer())) : null;
      if (this.closed || url !== this.data.points) return;
      this.backdrop = backdrop;
      this.receive(points);
    } catch (error) {
      this.find(".said").textContent = error.message;
      if (!this.points) { this.root.dataset.state = "failed"; this.arrived(); }
    }
  }

  async showBehind(wanted) {
    const { url } = this.data.behind;
    const found = wanted ? columns(parse(await (await answer(url)).arrayBuffer())) : null;
    if (this.closed || this.data.behind.url !== url) return;
    this.backdrop = found;
    this.put(this.points.raw);
    this.paint();
  }

  /** The same images at other places (another epoch, say) move there; anything else replaces what was. */
  receive(points) {
    const old = this.points, same = old && old.n === points.n && !old.z === !points.z && old.index.every((index, i) => index === points.index[i]);
    points.raw = columns(points);
    this.points = points;
    this.find(".said").textContent = points.n ? "" : "There are no codes to show here.";
    this.hover = -1;
    this.piled = points.n > 1 && points.raw.every((column) => column.every((value) => value === column[0]));  // all in one place
    const groups = this.data.groups.length, counts = (this.counts = new Uint32Array(groups + 1));
    for (const group of points.group) counts[Math.min(group, groups)]++;
    if (this.coloured !== this.data.view.colour) this.only.clear();
    this.coloured = this.data.view.colour;
    const turned = this.turn;
    this.turn = points.z ? new Turn(points.raw, points.n) : null;
    if (turned && this.turn) this.turn.by(turned.yaw - this.turn.yaw, turned.pitch - this.turn.pitch);
    this.extent = this.whole();
    if (same) this.move(old.raw, points);
    else { this.view = this.extent; this.touched = false; this.put(points.raw); }
    this.paint();
    if (same) return;
    if (points.n) this.card.pictures.find(this.pictureUrl(0), () => {}, () => {});  // so that images and model are at hand at the first hover
    requestAnimationFrame(() => { this.root.dataset.state = "ready"; this.root.dataset.points = points.n; performance.mark("latent-ready"); this.arrived(); });
  }

  /** What lies below the first map waits for it. */
  arrived() { if (this.data.awaited) this.tell("ready", true); }

  /** Put the points where these columns say, and those of other splits behind them. */
  put(raw) {
    const at = this.backdrop ? raw.map((column, k) => joined(column, this.backdrop[k])) : raw;
    const { x, y, depth } = this.turn ? this.turn.seen(at) : { x: at[0], y: at[1] };
    this.painter.places(x, y, depth);
    if (this.turn) { Object.assign(this.points, { x, y }); this.middles = null; }
  }

  move(from, points) {
    const start = performance.now(), before = this.view, goal = this.extent, raw = points.raw.map((column) => new Float32Array(column.length));
    const step = () => {
      if (this.closed || this.points !== points) return;
      const part = Math.min(1, (performance.now() - start) / 600), t = part * part * (3 - 2 * part);
      raw.forEach((column, k) => { for (let i = 0; i < points.n; i++) column[i] = from[k][i] + (points.raw[k][i] - from[k][i]) * t; });
      this.put(part < 1 ? raw : points.raw);
      if (!this.touched) this.view = Object.fromEntries(Object.keys(goal).map((key) => [key, before[key] + (goal[key] - before[key]) * t]));
      this.draw();
      if (part < 1) requestAnimationFrame(step); else this.paint();
    };
    requestAnimationFrame(step);
  }

  rotate(yaw, pitch) {
    const zoom = this.view.sx / this.turn.view(this.w, this.h).sx;
    this.turn.by(yaw, pitch);
    this.put(this.points.raw);
    this.view = this.turn.view(this.w, this.h, zoom);
    this.turn.sort(this.order, this.bright);
    this.painter.looks(this.colours, this.order);
  }

  resize() {
    const { clientWidth, clientHeight } = this.plot, ratio = (this.ratio = Math.min(2, window.devicePixelRatio || 1)), over = this.overlay.canvas;
    this.w = Math.max(50, clientWidth - LEFT - RIGHT);
    this.h = Math.max(50, clientHeight - BOTTOM - TOP);
    Object.assign(this.field.style, { left: `${LEFT}px`, top: `${TOP}px`, width: `${this.w}px`, height: `${this.h}px` });
    [this.field.width, this.field.height] = [Math.round(this.w * ratio), Math.round(this.h * ratio)];
    [over.width, over.height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.points) this.extent = this.whole();
    if (this.points && !this.touched) this.view = this.extent;
    this.redraw();
  }

  whole() { return this.turn ? this.turn.view(this.w, this.h) : fit(this.points, this.w, this.h, this.data.alike, this.data.frame); }
  reset() { this.touched = false; if (this.points) this.view = this.whole(); this.redraw(); }

  shows(group) { return !this.only.size || this.only.has(Math.min(group, this.data.groups.length)); }
  name(label) { return this.data.names[label] ?? "no label"; }
  groupName(group) { return this.data.groups[group] ?? (this.data.named ? "no label" : "not known"); }
  colour(group) { return this.data.colours[group] ?? GREY; }

  /** Colours and order of the points and the legend: after a filter, a selection, new points. */
  paint() {
    const { points, chosen } = this;
    if (!points) return;
    const { n, group, index } = points, behind = this.backdrop?.[0].length ?? 0, alpha = n > 20000 ? 150 : n > 4000 ? 190 : 230;
    const packed = ([r, g, b], opacity) => ((opacity << 24) | (b << 16) | (g << 8) | r) >>> 0, faint = between(this.paper, GREY, 0.3);  // a pile of it is no darker
    const bright = [...this.data.groups, ""].map((_, i) => packed(rgb(this.colour(i)), alpha)), dull = packed(faint, n > 4000 ? 110 : 190);
    const lit = bright.map((_, i) => this.shows(i)), last = bright.length - 1, few = chosen?.size <= 30;
    const colours = new Uint32Array(n + behind).fill(packed(faint, behind > 20000 ? 110 : 190)), order = (this.order = new Uint32Array(n + behind)), shown = (this.shown = new Uint8Array(n));
    let grey = behind, full = n + behind;
    for (let i = 0; i < behind; i++) order[i] = n + i;
    this.few = [];  // selected points that would be overlooked, being so few
    for (let i = 0; i < n; i++) {
      const at = Math.min(group[i], last), taken = lit[at] && (!chosen || chosen.has(index[i]));
      shown[i] = lit[at] ? 1 : 0;
      colours[i] = taken ? bright[at] : dull;
      order[taken ? --full : grey++] = i;
      if (few && taken) this.few.push(i);
    }
    this.bright = full;
    this.colours = new Uint8Array(colours.buffer);
    if (this.turn) this.turn.sort(order, full);
    this.painter.looks(this.colours, order);
    this.legend.draw();
    this.middles = null;
    this.redraw();
  }

  /** Names in the map, each in the middle of its group. */
  names() {
    if (this.counts.length > 27 || !this.data.named || this.piled) return [];
    this.middles ??= piles(middles(this.points, this.shown, this.data.groups.length), this.extent);
    const brief = (text) => (text.length > 24 ? `${text.slice(0, 22)} …` : text), named = (groups) => groups.map((group) => this.groupName(group)).join(", ");
    return this.middles.map((middle) => ({ ...middle, text: brief(named([middle.group, ...middle.others])) }));
  }

  /** Draw in the next frame: all, or only what lies over the points. */
  redraw(all = true) {
    this.stale ||= all;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.stale) this.draw(); else if (this.points && this.view && this.shown) this.overlay.draw();
    });
  }

  draw() {
    if (!this.points || !this.view || !this.shown) return;
    this.stale = false;
    this.grid = null;
    clearTimeout(this.sorting);
    this.sorting = setTimeout(() => { if (!this.hand.drag && !this.closed) this.grid ??= this.sorted(); }, 40);  // before the next hover needs it
    const { n } = this.points, zoom = Math.sqrt((this.view.sx * this.view.sy) / (this.extent.sx * this.extent.sy));
    const size = Math.min(16, Math.max(2.6, 52 / n ** 0.25 - 1.2) * Math.max(1, zoom) ** 0.45 * Math.max(1, this.h / 620));
    const most = performance.now() - this.glided < SETTLED && this.painter.slow ? QUICK : Infinity;
    this.painter.draw(this.view, this.w, this.h, size, this.ratio, most);
    this.overlay.draw();
    clearTimeout(this.settling);
    if (most < this.order.length) this.settling = setTimeout(() => this.redraw(), SETTLED);
  }

  /** Draw in the next frame what is being moved: of very many points a part, and all of them when the hand rests. */
  glide() { this.glided = performance.now(); this.redraw(); }

  toScreen(x, y) { const v = this.view; return [LEFT + this.w / 2 + (x - v.x) * v.sx, TOP + this.h / 2 - (y - v.y) * v.sy]; }
  toCode(px, py) { const v = this.view; return [v.x + (px - LEFT - this.w / 2) / v.sx, v.y - (py - TOP - this.h / 2) / v.sy]; }
  inField(px, py) { return px > LEFT && px < LEFT + this.w && py > TOP && py < TOP + this.h; }
  sorted() { return new Grid(this.points, this.shown, this.view, this.w, this.h); }
  pick(px, py) { return (this.grid ??= this.sorted()).nearest(px - LEFT, py - TOP, REACH); }
  around(px, py) {
    const [high, wide] = this.data.shape, most = Math.min(AHEAD, Math.floor(PIXELS / (high * wide)));
    return (this.grid ??= this.sorted()).around(px - LEFT, py - TOP, 6 * REACH, most);
  }

  /** The images of the points that are shown and lie in a polygon. */
  within(polygon) {
    const { n, x, y, index } = this.points, chosen = new Set();
    for (let i = 0; i < n; i++) if (this.shown[i] && inside(polygon, x[i], y[i])) chosen.add(index[i]);
    return chosen;
  }

  /** Tell Python what was selected, in which points; the highlight here does not wait for it. */
  select(shape, chosen) {
    const none = this.data.groups.length, groups = this.only.size ? [...this.counts.keys()].filter((group) => !this.only.has(group)) : [];
    const hidden = groups.map((group) => (group === none ? -1 : group));
    this.chosen = chosen?.size ? chosen : null;
    this.drawn = Date.now();
    this.tell("selection", { ...(this.chosen && shape), hidden, view: this.data.view, drawn: this.drawn });
    this.paint();
  }

  hovered(px, py, anywhere) {
    const start = performance.now();
    if (!this.inField(px, py)) { this.leave(); return; }
    const hit = anywhere ? -1 : this.pick(px, py), before = this.hover;
    this.hover = hit;
    this.cursor = [px, py];
    this.plot.classList.toggle("point", hit >= 0);
    if (hit >= 0) { if (hit !== before) this.card.point(hit); else this.card.place(); }
    else if (this.data.decode) this.card.decoding.ask([px, py]);
    else this.card.hide();
    if (this.overlay.uncover(px, py) || hit !== before) this.redraw(false);
    this.card.ahead();
    this.timings.push(performance.now() - start);
    if (this.timings.length > 5000) this.timings.shift();
  }

  leave() {
    this.cursor = null;
    this.card.hide();
    if (this.overlay.uncover(-1, -1) || this.hover >= 0) { this.hover = -1; this.redraw(false); }
  }

  pictureUrl(i) { return this.data.pictures.replace("{i}", this.points.index[i]); }
  sheetUrl(points) { return `${this.data.sheet}&i=${points.map((i) => this.points.index[i])}`; }
  decodeUrl(x, y) { return this.data.decode.replace("{x}", x.toPrecision(7)).replace("{y}", y.toPrecision(7)); }
}
