// The latent map: every code a point, drawn by WebGL2, with a canvas on top for axes, lasso, pins and the hovered point.
//
// It reads points from a binary route, pictures of points from a tile route and pictures of empty places from a decode
// route. Python is only told what was selected ("selection") and which places were pinned ("pins"); hovering, zooming,
// filtering and decoding under the cursor cost no rerun. `data` is documented in ui/latent_map.py.

const LEFT = 58, BOTTOM = 44, TOP = 4, RIGHT = 4;  // CSS pixels around the field, for the axes
const REACH = 7;                                    // a point is under the cursor within this many pixels
const GREY = "#8a8f98";
const MODES = {
  move: ["Move: drag to pan, wheel to zoom, double click to reset", "M12 3v18M3 12h18M9 6l3-3 3 3M9 18l3 3 3-3M6 9l-3 3 3 3M18 9l3 3-3 3"],
  path: ["Path: draw a line across the map, and see the film of what the decoder draws along it", "M4 19c4 0 3-8 8-8s4-6 8-6M18 3l3 2-3 2"],
  lasso: ["Lasso: draw around points (or hold Shift while dragging)", "M5 16c-3-4-1-11 7-11s11 7 6 10-9 0-11 1 0 4-3 4M5 16a2 2 0 1 0 1 0"],
  box: ["Box: drag a rectangle over points", "M4 5h16v14H4z"],
  reset: ["Show everything again", "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5"],
};

const maps = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  if (!maps.has(parentElement)) maps.set(parentElement, new LatentMap(parentElement));
  maps.get(parentElement).update(data, setStateValue);
  return () => { maps.get(parentElement)?.close(); maps.delete(parentElement); };
}

class LatentMap {
  constructor(parent) {
    const root = (this.root = document.createElement("div"));
    root.className = "latent-map";
    const tools = Object.entries(MODES).map(([mode, [help, path]]) =>
      `<button type="button" data-mode="${mode}" title="${help}" aria-label="${help}"><svg viewBox="0 0 24 24"><path d="${path}"/></svg></button>`);
    root.innerHTML = `<div class="plot"><canvas class="field"></canvas><canvas class="over" role="img"></canvas>
      <div class="said">Reading the codes …</div><div class="card"><div class="title"></div><canvas></canvas><div class="under"></div><div class="away"><i></i></div><div class="more"></div></div>
      </div><div class="side"><div class="tools">${tools.join("")}</div><div class="legend"></div></div>`;
    parent.appendChild(root);
    root.latentMap = this;  // for the browser tests
    this.find = (selector) => root.querySelector(selector);
    this.plot = this.find(".plot");
    this.field = this.find(".field");
    this.over = this.find(".over");
    this.pen = this.over.getContext("2d");
    this.card = this.find(".card");
    try { this.painter = new GLPainter(this.field); } catch {
      this.field.replaceWith((this.field = this.field.cloneNode()));
      this.painter = new CanvasPainter(this.field);
    }
    Object.assign(this, { mode: "move", only: new Set(), chosen: null, pins: [], hover: -1, timings: [] });
    this.pictures = new Pictures();
    this.decoding = new Latest((place) => this.decode(place));
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.plot);
    this.listen();
    this.setMode("move");
  }

  close() {
    this.closed = true;
    this.watch.disconnect();
    document.removeEventListener("keydown", this.escape);
    cancelAnimationFrame(this.frame);
    this.painter.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }

  /** New data from Python, or the same with another theme. */
  update(data, tell) {
    const old = this.data;
    Object.assign(this, { data, tell });
    const style = getComputedStyle(this.root);
    this.ink = style.getPropertyValue("--st-text-color").trim() || "#222222";
    this.paper = style.getPropertyValue("--st-background-color").trim() || "#ffffff";
    this.accent = style.getPropertyValue("--st-primary-color").trim() || "#3355d1";
    this.refused = 0;
    this.find("[data-mode=path]").hidden = !data.decode;
    if (old && old.plane !== data.plane && this.pins.length) { this.pins = []; setTimeout(() => this.tellPins()); }
    if (old && old.decode !== data.decode) for (const pin of this.pins) this.fillPin(pin);
    if (old?.points === data.points) this.paint(); else this.load(data.points);
    if (old?.selected !== data.selected) this.recall(data.selected);
  }

  /** A selection that stands in the address; one that was drawn here meanwhile goes before it. */
  async recall(url) {
    if (this.drawn && this.drawn !== this.data.drawn) return;
    const chosen = url ? new Set(new Int32Array(await (await answer(url)).arrayBuffer())) : null;
    if (url !== this.data.selected || (this.drawn && this.drawn !== this.data.drawn)) return;
    this.chosen = chosen?.size ? chosen : null;
    this.paint();
  }

  async load(url) {
    try {
      const points = parse(await (await answer(url)).arrayBuffer());
      if (this.closed || url !== this.data.points) return;
      this.receive(points);
    } catch (error) {
      this.find(".said").textContent = error.message;
      if (!this.points) this.root.dataset.state = "failed";
    }
  }

  /** The same images at other places (another epoch, say) move there; anything else replaces what was. */
  receive(points) {
    const old = this.points, same = old && old.n === points.n && old.index.every((index, i) => index === points.index[i]);
    this.points = points;
    this.find(".said").textContent = points.n ? "" : "There are no codes to show here.";
    this.hover = -1;
    const groups = this.data.groups.length, counts = (this.counts = new Uint32Array(groups + 1));
    for (const group of points.group) counts[Math.min(group, groups)]++;
    if (this.coloured !== this.data.view.colour) this.only.clear();
    this.coloured = this.data.view.colour;
    const goal = this.extent = fit(points, this.w, this.h);
    if (same) this.move(old, points, goal);
    else { this.view = goal; this.touched = false; this.painter.places(points.x, points.y); }
    this.paint();
    if (same) return;
    if (points.n) this.pictures.find(this.pictureUrl(0), () => {}, () => {});  // so that images and model are at hand at the first hover
    requestAnimationFrame(() => { this.root.dataset.state = "ready"; this.root.dataset.points = points.n; });
  }

  move(old, points, goal) {
    const from = this.view, start = performance.now(), x = new Float32Array(points.n), y = new Float32Array(points.n);
    const step = () => {
      if (this.closed || this.points !== points) return;
      const part = Math.min(1, (performance.now() - start) / 600), t = part * part * (3 - 2 * part);
      for (let i = 0; i < points.n; i++) { x[i] = old.x[i] + (points.x[i] - old.x[i]) * t; y[i] = old.y[i] + (points.y[i] - old.y[i]) * t; }
      this.painter.places(x, y);
      if (!this.touched) this.view = Object.fromEntries(Object.keys(goal).map((key) => [key, from[key] + (goal[key] - from[key]) * t]));
      this.draw();
      if (part < 1) requestAnimationFrame(step); else this.paint();
    };
    requestAnimationFrame(step);
  }

  resize() {
    const { clientWidth, clientHeight } = this.plot, ratio = (this.ratio = Math.min(2, window.devicePixelRatio || 1));
    this.w = Math.max(50, clientWidth - LEFT - RIGHT);
    this.h = Math.max(50, clientHeight - BOTTOM - TOP);
    Object.assign(this.field.style, { left: `${LEFT}px`, top: `${TOP}px`, width: `${this.w}px`, height: `${this.h}px` });
    [this.field.width, this.field.height] = [Math.round(this.w * ratio), Math.round(this.h * ratio)];
    [this.over.width, this.over.height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.points && !this.touched) this.view = fit(this.points, this.w, this.h);
    this.redraw();
  }

  shows(group) { return !this.only.size || this.only.has(Math.min(group, this.data.groups.length)); }
  name(label) { return this.data.names[label] ?? "no label"; }
  groupName(group) { return this.data.groups[group] ?? (this.data.named ? "no label" : "not known"); }
  colour(group) { return this.data.colours[group] ?? GREY; }

  /** Colours and order of the points, the legend, and the names in the map: after a filter, a selection, new points. */
  paint() {
    const { points } = this;
    if (!points) return;
    const { n, group } = points, alpha = n > 20000 ? 150 : n > 4000 ? 190 : 230;
    const packed = (hex, opacity) => { const [r, g, b] = rgb(hex); return ((opacity << 24) | (b << 16) | (g << 8) | r) >>> 0; };
    const bright = [...this.data.groups, ""].map((_, i) => packed(this.colour(i), alpha)), dull = packed(GREY, n > 4000 ? 24 : 46);
    const lit = bright.map((_, i) => this.shows(i)), last = bright.length - 1;
    const colours = new Uint32Array(n), order = new Uint32Array(n), shown = (this.shown = new Uint8Array(n));
    let grey = 0, full = n;
    this.few = [];  // selected points that would be overlooked, being so few
    for (let i = 0; i < n; i++) {
      const at = Math.min(group[i], last), chosen = !this.chosen || this.chosen.has(points.index[i]);
      shown[i] = lit[at] ? 1 : 0;
      colours[i] = lit[at] && chosen ? bright[at] : dull;
      order[lit[at] && chosen ? --full : grey++] = i;
      if (this.chosen?.size <= 30 && lit[at] && chosen) this.few.push(i);
    }
    this.painter.looks(new Uint8Array(colours.buffer), order);
    this.legend();
    this.names = this.counts.length > 27 || !this.data.named ? [] : middles(points, shown, this.data.groups.length).map(({ group: at, ...place }) => ({ text: this.groupName(at), ...place }));
    this.redraw();
  }

  legend() {
    const picked = new Uint32Array(this.counts.length);
    if (this.chosen) this.points.index.forEach((index, i) => { if (this.chosen.has(index)) picked[Math.min(this.points.group[i], picked.length - 1)]++; });
    this.find(".legend").replaceChildren(...[...this.counts].flatMap((count, group) => {
      if (!count) return [];
      const button = document.createElement("button"), dot = document.createElement("i"), name = document.createElement("b"), number = document.createElement("span");
      dot.style.background = this.colour(group);
      name.textContent = this.groupName(group);
      number.textContent = this.chosen ? `${whole(picked[group])} of ${whole(count)}` : whole(count);
      Object.assign(button, { type: "button", title: `Show only ${this.groupName(group)}; click again to undo`, className: this.shows(group) ? "" : "off" });
      button.setAttribute("aria-pressed", this.only.has(group));
      button.append(dot, name, number);
      button.onclick = () => { if (!this.only.delete(group)) this.only.add(group); this.paint(); };
      return [button];
    }));
  }

  /** Draw in the next frame: all, or only what lies over the points. */
  redraw(all = true) {
    this.stale ||= all;
    this.frame ??= requestAnimationFrame(() => { this.frame = null; if (this.stale) this.draw(); else this.overlay(); });
  }

  draw() {
    if (!this.points || !this.view || !this.shown) return;
    this.stale = false;
    this.grid = null;
    clearTimeout(this.sorting);
    this.sorting = setTimeout(() => { if (!this.drag && !this.closed) this.grid ??= this.sorted(); }, 40);  // before the next hover needs it
    const { n } = this.points, zoom = Math.sqrt((this.view.sx * this.view.sy) / (this.extent.sx * this.extent.sy));
    const size = Math.min(16, Math.max(2.6, 52 / n ** 0.25 - 1.2) * Math.max(1, zoom) ** 0.45 * Math.max(1, this.h / 620));
    this.painter.draw(this.view, this.w, this.h, size, this.ratio);
    this.overlay();
  }

  toScreen(x, y) { const v = this.view; return [LEFT + this.w / 2 + (x - v.x) * v.sx, TOP + this.h / 2 - (y - v.y) * v.sy]; }
  toCode(px, py) { const v = this.view; return [v.x + (px - LEFT - this.w / 2) / v.sx, v.y - (py - TOP - this.h / 2) / v.sy]; }

  overlay() {
    if (!this.points || !this.view || !this.names) return;
    const { pen, w, h, ratio } = this;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.over.width, this.over.height);
    const font = getComputedStyle(this.root).fontFamily;
    drawAxes(pen, this.view, { left: LEFT, top: TOP, w, h }, this.data.axes, `${whole(this.points.n)} points`, { ink: this.ink, font });
    if (this.painter.plain) pen.fillText("This browser has no WebGL2: drawn slower", LEFT + w - 8, TOP + 14);
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, TOP, w, h);
    pen.clip();
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.font = `700 17px ${font}`;
    const names = this.names.map(({ text, x, y }) => [text, ...this.toScreen(x, y), pen.measureText(text).width]);
    for (const [text, px, py] of apart(names)) this.halo(text, px, py);
    for (const i of this.few) this.ring(i, this.colour(this.points.group[i]), 4);
    for (const [x, y, text] of this.data.marks ?? []) this.drawMark(...this.toScreen(x, y), text);
    this.pins.forEach((pin) => this.drawPin(pin));
    this.drawShape();
    if (this.hover >= 0) this.ring(this.hover, this.ink, 2.5);
    pen.restore();
  }

  ring(i, colour, width) {
    Object.assign(this.pen, { strokeStyle: colour, lineWidth: width });
    this.pen.beginPath();
    this.pen.arc(...this.toScreen(this.points.x[i], this.points.y[i]), 8, 0, 7);
    this.pen.stroke();
  }

  /** Where something that is no point of the map lands: an image of one's own, say. */
  drawMark(px, py, text) {
    const { pen } = this;
    for (const [width, colour] of [[7, this.paper], [3, this.accent]]) {
      Object.assign(pen, { lineWidth: width, strokeStyle: colour });
      pen.beginPath();
      for (const side of [-9, 9]) { pen.moveTo(px - 9, py - side); pen.lineTo(px + 9, py + side); }
      pen.stroke();
    }
    this.halo(text, px, py - 20);
  }

  halo(text, px, py) {
    Object.assign(this.pen, { strokeStyle: this.paper, lineWidth: 5, lineJoin: "round", fillStyle: this.ink });
    this.pen.strokeText(text, px, py);
    this.pen.fillText(text, px, py);
  }

  /** A pinned place: a dot, and above or below it the picture that the decoder draws there. */
  drawPin(pin) {
    const { pen } = this, { side, left, top, px, py } = this.pinBox(pin);
    pen.fillStyle = this.accent;
    pen.beginPath();
    pen.arc(px, py, 5, 0, 7);
    pen.fill();
    if (!pin.picture) return;
    pen.imageSmoothingEnabled = false;
    pen.fillRect(left - 2, top - 2, side + 4, side + 4);
    pen.drawImage(pin.picture, left, top, side, side);
  }
  pinBox({ x, y }) {
    const side = Math.max(48, Math.min(84, this.h / 8)), [px, py] = this.toScreen(x, y);
    return { side, px, py, left: px - side / 2, top: py - side - 12 > TOP ? py - side - 12 : py + 12 };
  }
  pinAt(px, py) {
    return this.pins.findIndex((pin) => { const { side, left, top } = this.pinBox(pin); return px > left && px < left + side && py > top - 12 && py < top + side + 12; });
  }

  drawShape() {
    const { pen, drag } = this;
    if (!drag?.path) return;
    Object.assign(pen, { strokeStyle: this.accent, fillStyle: this.accent, lineWidth: 2 });
    pen.beginPath();
    for (const [x, y] of this.outline()) pen.lineTo(x, y);
    if (drag.kind !== "path") pen.closePath();
    pen.stroke();
    if (drag.kind === "path") return;
    pen.globalAlpha = 0.12;
    pen.fill();
    pen.globalAlpha = 1;
  }
  outline() {
    const { kind, path } = this.drag, [a] = path, b = path[path.length - 1];
    return kind === "box" ? [a, [b[0], a[1]], b, [a[0], b[1]]] : path;
  }

  setMode(mode) {
    if (mode === "reset") { this.touched = false; if (this.points) this.view = fit(this.points, this.w, this.h); this.redraw(); return; }
    this.mode = mode;
    for (const button of this.root.querySelectorAll(".tools button")) button.setAttribute("aria-pressed", button.dataset.mode === mode);
  }

  listen() {
    this.find(".tools").onclick = (event) => { const button = event.target.closest("button"); if (button) this.setMode(button.dataset.mode); };
    const at = (event) => { const box = this.over.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    this.over.onmousedown = (event) => event.preventDefault();  // else the page takes the focus, with a frame around it
    this.over.onpointerdown = (event) => {
      if (event.button || !this.view) return;
      this.over.setPointerCapture(event.pointerId);
      const kind = event.shiftKey ? "lasso" : this.mode, [px, py] = at(event);
      this.drag = { kind, px, py, view: { ...this.view }, far: false, path: kind === "move" ? null : [[px, py]] };
    };
    this.over.onpointermove = (event) => { if (!this.points || !this.view) return; if (this.drag) this.dragged(...at(event)); else this.hovered(...at(event), event.altKey); };
    this.over.onpointerup = (event) => this.released(...at(event));
    this.over.onpointercancel = () => { this.drag = null; this.redraw(); };
    this.over.onpointerleave = () => this.leave();
    this.over.ondblclick = () => { clearTimeout(this.pinning); this.setMode("reset"); };
    this.over.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (!this.view) return;
      const [px, py] = at(event), [x, y] = this.toCode(px, py), factor = Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 250);
      if (this.view.sx * factor > this.extent.sx * 1e4 || this.view.sx * factor < this.extent.sx / 50) return;
      this.view = { ...this.view, sx: this.view.sx * factor, sy: this.view.sy * factor };
      const [nx, ny] = this.toCode(px, py);
      Object.assign(this.view, { x: this.view.x + x - nx, y: this.view.y + y - ny });
      this.touched = true;
      this.redraw();
    }, { passive: false });
    this.escape = (event) => { if (event.key === "Escape" && (this.drag || this.chosen)) { this.drag = null; this.select(null, null); } };
    document.addEventListener("keydown", this.escape);
  }

  dragged(px, py) {
    const { drag, view } = this;
    drag.far ||= Math.hypot(px - drag.px, py - drag.py) > 4;
    if (!drag.far) return;
    this.leave();
    if (drag.kind === "move") {
      this.plot.classList.add("pan");
      Object.assign(view, { x: drag.view.x - (px - drag.px) / view.sx, y: drag.view.y + (py - drag.py) / view.sy });
      this.touched = true;
    } else {
      const [lx, ly] = drag.path[drag.path.length - 1];
      if (drag.kind === "box" || Math.hypot(px - lx, py - ly) > 3) drag.path.push([px, py]);
    }
    this.redraw();
  }

  released(px, py) {
    const { drag } = this;
    if (!drag) return;
    if (!drag.far) this.clicked(px, py);
    else if (drag.kind === "path") this.tell("path", drag.path.map(([x, y]) => this.toCode(x, y)));
    else if (drag.path) {
      const polygon = this.outline().map(([x, y]) => this.toCode(x, y)), { n, x, y, index } = this.points, chosen = new Set();
      for (let i = 0; i < n; i++) if (this.shown[i] && inside(polygon, x[i], y[i])) chosen.add(index[i]);
      this.select({ kind: "polygon", polygon }, chosen);
    }
    this.drag = null;
    this.plot.classList.remove("pan");
    this.redraw();
  }

  clicked(px, py) {
    const hit = this.pick(px, py), pin = this.pinAt(px, py);
    if (pin >= 0) { this.pins.splice(pin, 1); this.tellPins(); } 
    else if (hit >= 0) this.select({ kind: "index", index: this.points.index[hit] }, new Set([this.points.index[hit]]));
    else if (this.data.decode && this.within(px, py)) { clearTimeout(this.pinning); this.pinning = setTimeout(() => this.pin(...this.toCode(px, py)), 230); }
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

  async pin(x, y) {
    const pin = { x, y };
    this.pins.push(pin);
    if (this.pins.length > 24) this.pins.shift();
    this.redraw();
    await this.fillPin(pin);
    this.tellPins();
  }
  async fillPin(pin) { pin.picture = await bitmap(this.decodeUrl(pin.x, pin.y)).catch(() => pin.picture); this.redraw(); }
  tellPins() { this.tell("pins", this.pins.map(({ x, y }) => [x, y])); this.redraw(); }

  within(px, py) { return px > LEFT && px < LEFT + this.w && py > TOP && py < TOP + this.h; }
  sorted() { return new Grid(this.points, this.shown, this.view, this.w, this.h); }
  pick(px, py) {
    this.grid ??= this.sorted();
    return this.grid.nearest(px - LEFT, py - TOP, REACH);
  }

  hovered(px, py, anywhere) {
    const start = performance.now();
    if (!this.within(px, py)) { this.leave(); return; }
    const hit = anywhere ? -1 : this.pick(px, py), before = this.hover;
    this.hover = hit;
    this.cursor = [px, py];
    this.plot.classList.toggle("point", hit >= 0);
    if (hit >= 0) { if (hit !== before) this.showPoint(hit); else this.placeCard(); }
    else if (this.data.decode) this.decoding.ask([px, py]);
    else this.card.classList.remove("shown");
    if (hit !== before) this.redraw(false);
    this.timings.push(performance.now() - start);
    if (this.timings.length > 5000) this.timings.shift();
  }

  leave() {
    this.cursor = null;
    this.card.classList.remove("shown");
    if (this.hover >= 0) { this.hover = -1; this.redraw(false); }
  }

  pictureUrl(i) { return this.data.pictures.replace("{i}", this.points.index[i]); }

  showPoint(hit) {
    const { index, label, group, error } = this.points;
    const mse = error && Number.isFinite(error[hit]) ? ` · error ${error[hit].toPrecision(2)}` : "";
    const show = (picture, said) => {
      if (this.hover !== hit) return;
      this.pictured = picture ? hit : -1;
      const [high, wide] = this.data.shape, pair = picture && picture.width > (1.5 * picture.height * wide) / high;
      this.showCard(this.colour(group[hit]), this.name(label[hit]), picture, pair ? ["image", "reconstruction"] : ["image"], said ?? `${this.data.view.split} image ${whole(index[hit])}${mse}`);
    };
    setTimeout(() => { if (this.hover === hit && this.pictured !== hit) show(null, `${this.data.view.split} image ${whole(index[hit])} …`); }, 150);
    this.pictures.find(this.pictureUrl(hit), (picture) => show(picture), (error) => show(null, error.message));
  }

  decodeUrl(x, y) { return this.data.decode.replace("{x}", x.toPrecision(7)).replace("{y}", y.toPrecision(7)); }

  async decode([px, py]) {
    const [x, y] = this.toCode(px, py), here = () => this.cursor && this.hover < 0;
    if (!here() || performance.now() < this.refused) return;
    const start = performance.now();
    try {
      const response = await answer(this.decodeUrl(x, y)), away = Number(response.headers.get("X-Away") ?? NaN);
      const picture = await createImageBitmap(await response.blob());
      (this.decodeTimes ??= []).push(performance.now() - start);
      if (here()) this.showCard(this.accent, "The decoder draws", picture, [], `at (${short(x)}, ${short(y)})${this.data.lifted ? `, ${this.data.lifted}` : ""}`, away);
    } catch (error) {
      this.refused = performance.now() + 2000;
      if (here()) this.showCard(this.accent, "", null, [], error.message);
    }
  }

  showCard(colour, title, picture, under, more, away = NaN) {
    const canvas = this.find(".card canvas"), pen = canvas.getContext("2d");
    canvas.style.display = picture ? "block" : "none";
    if (picture) {
      const scale = Math.max(1, Math.round((this.h > 700 ? 150 : 112) / picture.height));
      [canvas.width, canvas.height] = [picture.width, picture.height];
      Object.assign(canvas.style, { width: `${picture.width * scale}px`, height: `${picture.height * scale}px` });
      pen.drawImage(picture, 0, 0);
    }
    this.card.style.borderColor = colour;
    this.find(".title").textContent = title;
    this.find(".title").style.setProperty("--dot", colour);
    this.find(".under").replaceChildren(...under.map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    const known = Number.isFinite(away), meter = this.find(".away");
    meter.style.display = known ? "block" : "none";
    meter.style.setProperty("--near", known ? `${100 / Math.max(1, away)}%` : "0");
    this.find(".more").textContent = known ? `${distance(away)}\n${more}` : more;
    this.card.classList.add("shown");
    this.placeCard();
  }

  /** Beside the cursor, on the side where there is room. */
  placeCard() {
    const [px, py] = this.cursor, { offsetWidth: w, offsetHeight: h } = this.card, gap = 18;
    const x = px + gap + w > LEFT + this.w ? px - gap - w : px + gap, y = Math.min(Math.max(py - h / 2, 0), TOP + this.h - h);
    this.card.style.transform = `translate(${Math.max(0, x)}px, ${y}px)`;
  }
}
