// The visitor's hand: what hovering, clicking, dragging and the wheel do, in the mode that is chosen.

const REACH = 7;  // a point is under the cursor within this many pixels
const OTHERS = "[aria-expanded=true], [role=listbox], [role=dialog]";  // what is open and has the focus is closed by Escape
const MODES = {
  move: ["Move: drag to pan, wheel to zoom, double click to reset", "M12 3v18M3 12h18M9 6l3-3 3 3M9 18l3 3 3-3M6 9l-3 3 3 3M18 9l3 3-3 3"],
  path: ["Path: draw a line across the map, and see the film of what the decoder draws along it", "M4 19c4 0 3-8 8-8s4-6 8-6M18 3l3 2-3 2"],
  lasso: ["Lasso: draw around points (or hold Shift while dragging)", "M5 16c-3-4-1-11 7-11s11 7 6 10-9 0-11 1 0 4-3 4M5 16a2 2 0 1 0 1 0"],
  box: ["Box: drag a rectangle over points", "M4 5h16v14H4z"],
  reset: ["Show everything again", "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5"],
};

class Hand {
  static tools() {
    const button = ([mode, [help, path]]) =>
      `<button type="button" data-mode="${mode}" title="${help}" aria-label="${help}"><svg viewBox="0 0 24 24"><path d="${path}"/></svg></button>`;
    return Object.entries(MODES).map(button).join("");
  }

  constructor(map, over, tools) {
    Object.assign(this, { map, over, tools, drag: null });
    this.listen();
    this.choose("move");
  }

  close() { document.removeEventListener("keydown", this.escape, true); }

  choose(mode) {
    if (mode === "reset") { this.map.reset(); return; }
    this.mode = mode;
    for (const button of this.tools.querySelectorAll("button")) button.setAttribute("aria-pressed", button.dataset.mode === mode);
  }

  /** Without the path, and its film. */
  forget() {
    if (!this.walked) return;
    this.walked = null;
    this.map.tell("path", []);
    this.map.redraw(false);
  }

  /** Only what makes sense in this map. */
  offer({ decode }) {
    this.tools.querySelector("[data-mode=path]").hidden = !decode;
    if (!decode && this.mode === "path") this.choose("move");
  }

  listen() {
    const { map, over } = this;
    this.tools.onclick = (event) => { const button = event.target.closest("button"); if (button) this.choose(button.dataset.mode); };
    const at = (event) => { const box = over.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    over.onmousedown = (event) => event.preventDefault();  // else the page takes the focus, with a frame around it
    over.onpointerdown = (event) => {
      if (event.button || !map.view) return;
      over.setPointerCapture(event.pointerId);
      const kind = event.shiftKey ? "lasso" : this.mode, [px, py] = at(event);
      this.drag = { kind, px, py, last: [px, py], view: { ...map.view }, far: false, path: kind === "move" ? null : [[px, py]] };
    };
    over.onpointermove = (event) => {
      if (!map.points || !map.view) return;
      if (this.drag) this.dragged(...at(event)); else map.hovered(...at(event), event.altKey);
    };
    over.onpointerup = (event) => this.released(...at(event));
    over.onpointercancel = () => { this.drag = null; map.redraw(); };
    over.onpointerleave = () => map.leave();
    over.ondblclick = () => { clearTimeout(this.pinning); map.reset(); };
    over.addEventListener("wheel", (event) => { event.preventDefault(); if (map.view) this.wheel(event.deltaY, ...at(event)); }, { passive: false });
    this.escape = (event) => {
      if (event.key !== "Escape" || event.target.closest?.(OTHERS)) return;
      if (this.drag || map.chosen) { this.drag = null; map.select(null, null); }
      this.forget();
    };
    document.addEventListener("keydown", this.escape, true);  // before what is open closes
  }

  wheel(delta, px, py) {
    const { map } = this, factor = Math.exp(-Math.max(-60, Math.min(60, delta)) / 250), { view, extent } = map;
    if (view.sx * factor > extent.sx * 1e4 || view.sx * factor < extent.sx / 50) return;
    const [x, y] = map.toCode(px, py);
    map.view = { ...view, sx: view.sx * factor, sy: view.sy * factor };
    const [nx, ny] = map.toCode(px, py);
    if (!map.turn) Object.assign(map.view, { x: view.x + x - nx, y: view.y + y - ny });
    map.touched = true;
    map.glide();
  }

  dragged(px, py) {
    const { map, drag } = this, { view } = map;
    drag.far ||= Math.hypot(px - drag.px, py - drag.py) > 4;
    if (!drag.far) return;
    map.leave();
    if (drag.kind === "move") {
      map.plot.classList.add("pan");
      map.touched = true;
      if (map.turn) map.rotate((px - drag.last[0]) / 160, (py - drag.last[1]) / 160);
      else Object.assign(view, { x: drag.view.x - (px - drag.px) / view.sx, y: drag.view.y + (py - drag.py) / view.sy });
    } else {
      const [lx, ly] = drag.path[drag.path.length - 1];
      if (drag.kind === "box" || Math.hypot(px - lx, py - ly) > 3) drag.path.push([px, py]);
    }
    drag.last = [px, py];
    if (drag.kind === "move") map.glide(); else map.redraw(false);
  }

  released(px, py) {
    const { map, drag } = this;
    if (!drag) return;
    if (!drag.far) this.clicked(px, py);
    else if (drag.kind === "path") map.tell("path", (this.walked = drag.path.map(([x, y]) => map.toCode(x, y))));
    else if (drag.path) {
      const polygon = this.outline().map(([x, y]) => map.toCode(x, y));
      map.select({ kind: "polygon", polygon, ...(map.turn && { turn: map.turn.rows.slice(0, 2) }) }, map.within(polygon));
    }
    this.drag = null;
    map.plot.classList.remove("pan");
    map.redraw();
  }

  /** What is drawn around or along, on the screen; nothing while nothing is. */
  outline() {
    if (!this.drag?.path) return null;
    const { kind, path } = this.drag, [a] = path, b = path[path.length - 1];
    return kind === "box" ? [a, [b[0], a[1]], b, [a[0], b[1]]] : path;
  }

  clicked(px, py) {
    const { map } = this, hit = map.pick(px, py);
    if (map.pins.remove(px, py)) return;
    if (hit >= 0) map.select({ kind: "index", index: map.points.index[hit] }, new Set([map.points.index[hit]]));
    else if (map.data.decode && map.inField(px, py)) {
      clearTimeout(this.pinning);
      this.pinning = setTimeout(() => map.pins.add(...map.toCode(px, py)), 230);  // unless it is half of a double click
    }
  }
}
