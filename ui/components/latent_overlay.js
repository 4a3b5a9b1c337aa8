// What stands over the points: axes, names, rings around few points, marks, pins, and the line that is drawn.

const UNIT = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 || 1;  // as large as the page's words: larger on a projector
const LEFT = Math.round(58 * UNIT), BOTTOM = Math.round(44 * UNIT), TOP = 4, RIGHT = 4;  // CSS pixels around the field, for the axes
const FEW = 60;  // points among which none should lie below a name
const type = (size, font, weight = 400) => `${weight} ${Math.round(size * UNIT)}px ${font}`;
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
/** So much of the way from one colour to another. */
const between = (from, to, share) => rgb(from).map((part, at) => Math.round(part + (rgb(to)[at] - part) * share));
const whole = (value) => value.toLocaleString("en-US");
/** How far a place is from real data, in words; 1 is usual between real codes. */
const distance = (away) => away <= 1.5 ? "among real data" : away <= 4 ? `${away.toFixed(1)} × the usual distance from real data` : `far from all data: ${away < 100 ? away.toFixed(0) : "> 100"} × the usual distance`;
const short = (value) => written(Number(value.toPrecision(3)));

/** The numbers of an axis stay on the canvas: the last one beside its line, and a long one narrower. */
function drawAxes(pen, view, { left, top, w, h }, titles, note, { ink, font }) {
  const line = (x0, y0, x1, y1, alpha) => { pen.globalAlpha = alpha; pen.beginPath(); pen.moveTo(x0, y0); pen.lineTo(x1, y1); pen.stroke(); pen.globalAlpha = 0.75; };
  Object.assign(pen, { fillStyle: ink, strokeStyle: ink, lineWidth: 1, font: type(13, font), textBaseline: "middle", textAlign: "center" });
  for (const [value, text] of ticks(view.x, view.sx, w, 90 * UNIT)) {
    const px = left + w / 2 + (value - view.x) * view.sx;
    line(px, top, px, top + h, value ? 0.07 : 0.25);
    pen.fillText(text, Math.min(px, left + w + RIGHT - pen.measureText(text).width / 2), top + h + 12 * UNIT);
  }
  pen.textAlign = "right";
  for (const [value, text] of ticks(view.y, view.sy, h, 50 * UNIT)) {
    const py = top + h / 2 - (value - view.y) * view.sy;
    line(left, py, left + w, py, value ? 0.07 : 0.25);
    pen.fillText(text, left - 7, Math.max(py, 7 * UNIT), left - 9);
  }
  Object.assign(pen, { globalAlpha: 1, textAlign: "center", font: type(15, font, 600) });
  pen.fillText(titles[0], left + w / 2, top + h + 34 * UNIT);
  pen.save();
  pen.translate(11 * UNIT, top + h / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(titles[1], 0, 0);
  pen.restore();
  drawNote(pen, { left, top, w, h }, note, { ink, font });
}

function drawNote(pen, { left, top, w, h }, note, { ink, font }) {
  Object.assign(pen, { fillStyle: ink, globalAlpha: 0.65, textAlign: "right", textBaseline: "middle", font: type(13, font) });
  pen.fillText(note, left + w, top + h + 34 * UNIT);
  pen.globalAlpha = 1;
}

/** Of three dimensions the axes themselves, through the middle. */
function drawDirections(pen, turn, toScreen, titles, { ink, font }, field, halo) {
  Object.assign(pen, { font: type(14, font, 600), textBaseline: "middle", textAlign: "center" });
  const named = titles.map((title, axis) => {
    const end = (side) => toScreen(...turn.flat(...turn.middle.map((value, k) => value + (k === axis ? side * 1.15 * turn.reach[k] : 0))));
    const [from, to] = [end(-1), end(1)];
    Object.assign(pen, { strokeStyle: ink, lineWidth: 1.5, globalAlpha: 0.55 });
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
    pen.globalAlpha = 1;
    const across = pen.measureText(title).width;
    return [title, ...inward([to[0], to[1] - 10], field, across / 2 + 4, 12), across];
  });
  for (const [title, px, py] of apart(named)) halo(title, px, py);
}

/** A place of the screen, at the edge of the field where it is outside. */
function inward([px, py], { left, top, w, h }, wide = 14, high = 30) {
  return [Math.min(left + w - wide, Math.max(left + wide, px)), Math.min(top + h - 14, Math.max(top + high, py))];
}

/** All that stands over the points of a map, on a canvas of its own. */
class Overlay {
  constructor(map, canvas) {
    this.map = map;
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
  }

  draw() {
    const { map, pen } = this, { w, h, ratio, points, data } = map, font = getComputedStyle(map.root).fontFamily;
    const look = { ink: map.ink, font }, field = { left: LEFT, top: TOP, w, h }, note = `${whole(points.n)} ${points.n === 1 ? "point" : "points"}`;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (map.turn) drawNote(pen, field, `${note} · drag to turn`, look); else drawAxes(pen, map.view, field, data.axes, note, look);
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, TOP, w, h);
    pen.clip();
    if (map.turn) drawDirections(pen, map.turn, (x, y) => map.toScreen(x, y), data.axes, look, field, (...place) => this.halo(...place));
    Object.assign(pen, { textAlign: "center", textBaseline: "middle", font: type(17, font, 700) });
    const meets = (at, reach, from, to) => at + reach > from && at - reach < to;
    const names = map.names().flatMap(({ text, x, y, wide, high }) => {
      const across = pen.measureText(text).width, [px, py] = map.toScreen(x, y), down = high * map.view.sy;
      if (!meets(px, wide * map.view.sx, LEFT, LEFT + w) || !meets(py, down, TOP, TOP + h)) return [];  // all of it is out of sight
      const hides = down < 22 * UNIT && wide * map.view.sx < across, above = hides ? down / 2 + 18 * UNIT : points.n < FEW ? 18 * UNIT : 0;
      return [[text, ...inward([px, py - above], field, across / 2 + 4, 12), across]];  // it may lie on many points, but not on all of them
    });
    this.named = apart(names).map(([text, px, py, across]) => [text, ...inward([px, py], field, across / 2 + 4, 12), across]);
    this.named.forEach(([text, px, py], at) => {
      pen.globalAlpha = at === this.faint ? 0.12 : 1;
      this.halo(text, px, py);
    });
    pen.globalAlpha = 1;
    for (const i of map.few) this.ring(i, map.colour(points.group[i]), 4);
    for (const [text, ...place] of data.marks ?? []) this.mark(map.toScreen(...(map.turn ? map.turn.flat(...place) : place)), field, text);
    for (const pin of map.pins.all) this.pin(pin);
    this.shape(map.hand.outline());
    if (map.hand.walked) this.line(map.hand.walked.map(([x, y]) => map.toScreen(x, y)));
    if (map.hover >= 0) this.ring(map.hover, map.ink, 2.5);
    pen.restore();
  }

  /** The name that the pointer comes to turns faint: there are points below it. Whether another one does now. */
  uncover(px, py) {
    const before = this.faint, near = ([, x, y, wide]) => Math.abs(x - px) < wide / 2 + 14 && Math.abs(y - py) < 22 * UNIT;
    this.faint = (this.named ?? []).findIndex(near);
    return this.faint !== before;
  }

  ring(i, colour, width) {
    const { x, y } = this.map.points;
    Object.assign(this.pen, { strokeStyle: colour, lineWidth: width });
    this.pen.beginPath();
    this.pen.arc(...this.map.toScreen(x[i], y[i]), 8, 0, 7);
    this.pen.stroke();
  }

  /** Where something that is no point of the map lands: an image of one's own, say. Where that is out of sight, the edge says so. */
  mark(place, field, text) {
    const { pen, map } = this, [px, py] = inward(place, field);
    const said = map.inField(...place) ? text : `${text}, further out`, across = pen.measureText(said).width;
    for (const [width, colour] of [[7, map.paper], [3, map.accent]]) {
      Object.assign(pen, { lineWidth: width, strokeStyle: colour });
      pen.beginPath();
      for (const side of [-9, 9]) { pen.moveTo(px - 9, py - side); pen.lineTo(px + 9, py + side); }
      pen.stroke();
    }
    this.halo(said, ...inward([px, py - 20], field, across / 2 + 4, 10));
  }

  halo(text, px, py) {
    Object.assign(this.pen, { strokeStyle: this.map.paper, lineWidth: 5, lineJoin: "round", fillStyle: this.map.ink });
    this.pen.strokeText(text, px, py);
    this.pen.fillText(text, px, py);
  }

  /** A pinned place: a dot, and above or below it the picture that the decoder draws there. */
  pin(pin) {
    const { pen } = this, { side, left, top, px, py } = this.map.pins.box(pin);
    pen.fillStyle = this.map.accent;
    pen.beginPath();
    pen.arc(px, py, 5, 0, 7);
    pen.fill();
    if (!pin.picture) return;
    pen.imageSmoothingEnabled = false;
    pen.fillRect(left - 2, top - 2, side + 4, side + 4);
    pen.drawImage(pin.picture, left, top, side, side);
  }

  /** A path that was drawn: its film stands beside the map. */
  line(places) {
    const { pen, map } = this;
    for (const [width, colour] of [[5, map.paper], [2.5, map.accent]]) {
      Object.assign(pen, { strokeStyle: colour, lineWidth: width, lineJoin: "round" });
      pen.beginPath();
      for (const [x, y] of places) pen.lineTo(x, y);
      pen.stroke();
    }
  }

  /** The lasso, the box or the path that is being drawn. */
  shape(outline) {
    if (!outline) return;
    const { pen } = this, open = this.map.hand.drag.kind === "path";
    Object.assign(pen, { strokeStyle: this.map.accent, fillStyle: this.map.accent, lineWidth: 2 });
    pen.beginPath();
    for (const [x, y] of outline) pen.lineTo(x, y);
    if (!open) pen.closePath();
    pen.stroke();
    if (open) return;
    pen.globalAlpha = 0.12;
    pen.fill();
    pen.globalAlpha = 1;
  }
}
