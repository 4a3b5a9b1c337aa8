// What the latent map is made of: reading points, drawing them, finding the nearest, fetching pictures.
// ui/latent_map.py puts this file in front of latent.js: a component's script cannot import.

const CELL = 8;                                     // side of a cell of the picking grid, in pixels
const TYPES = { float32: Float32Array, int32: Int32Array, uint16: Uint16Array };

/** [uint32 length of the header][header JSON][columns, each padded to 4 bytes] -> {header, n, x, y, index, label, group, error} */
function parse(buffer) {
  const length = new Uint32Array(buffer, 0, 1)[0];
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const points = { header, n: header.n };
  let at = 4 + length;
  for (const [name, type] of header.columns) {
    points[name] = new TYPES[type](buffer, at, header.n);
    at += Math.ceil(points[name].byteLength / 4) * 4;
  }
  return points;
}

/** Resolve against the document, so that a base path in front of the dashboard works too. */
const absolute = (url) => new URL(url, document.baseURI).href;

async function answer(url) {
  const response = await fetch(absolute(url));
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new Error(said.problem || `The dashboard answered ${response.status}.`);
}

const bitmap = async (url) => createImageBitmap(await (await answer(url)).blob());

/** One request in flight; of those asked for meanwhile only the latest is kept. */
class Latest {
  constructor(work) { this.work = work; this.busy = false; this.next = null; }
  async ask(value) {
    if (this.busy) { this.next = { value }; return; }
    this.busy = true;
    await this.work(value).catch(() => {});
    this.busy = false;
    const { next } = this;
    this.next = null;
    if (next) this.ask(next.value);
  }
}

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const whole = (value) => value.toLocaleString("en-US");
/** How far a place is from real data, in words; 1 is usual between real codes. */
const distance = (away) => away <= 1.5 ? "among real data" : away <= 4 ? `${away.toFixed(1)} × the usual distance from real data` : `far from all data: ${away < 100 ? away.toFixed(0) : "> 100"} × the usual distance`;
const short = (value) => Number(value.toPrecision(3)).toString().replace("-", "−");

/** The full range, unless a few stragglers would squeeze all the others into a corner. */
function span(values) {
  const sorted = Float32Array.from(values).sort();
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const reach = 0.5 * (at(0.995) - at(0.005)) || Infinity;
  const low = Math.max(sorted[0], at(0.005) - reach), high = Math.min(at(1), at(0.995) + reach);
  return high > low ? [low, high] : [low - 1, low + 1];
}

/** The view that shows all: one scale for both axes, unless that would leave half of the field empty. */
function fit({ n, x, y }, w, h) {
  if (!n) return { x: 0, y: 0, sx: 1, sy: 1 };
  const [left, right] = span(x), [low, high] = span(y);
  let sx = w / (right - left) / 1.08, sy = h / (high - low) / 1.08;
  if (Math.max(sx, sy) < 2 * Math.min(sx, sy)) sx = sy = Math.min(sx, sy);
  return { x: (left + right) / 2, y: (low + high) / 2, sx, sy };
}

/** The median of each group's points: [{group, x, y}]. */
function middles({ n, x, y, group }, shown, groups) {
  const places = new Map(), stride = Math.max(1, Math.floor(n / 8000));
  for (let i = 0; i < n; i += stride) {
    if (!shown[i] || group[i] >= groups) continue;
    if (!places.has(group[i])) places.set(group[i], [[], []]);
    places.get(group[i])[0].push(x[i]);
    places.get(group[i])[1].push(y[i]);
  }
  const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  return [...places].map(([at, [xs, ys]]) => ({ group: at, x: middle(xs), y: middle(ys) }));
}

/** Names [text, px, py, width] on the screen, pushed apart where they would cover each other. */
function apart(names) {
  for (let round = 0; round < 8; round++) {
    names.forEach((a, i) => names.slice(0, i).forEach((b) => {
      const overlap = Math.abs(a[1] - b[1]) < (a[3] + b[3]) / 2 + 5 && 18 - Math.abs(a[2] - b[2]);
      if (overlap > 0) { const side = a[2] < b[2] ? -1 : 1; a[2] += (side * overlap) / 2; b[2] -= (side * overlap) / 2; }
    }));
  }
  return names;
}

/** Round values about 90 pixels apart, in the part of an axis that is seen. */
function ticks(centre, scale, length) {
  const raw = 90 / scale, power = 10 ** Math.floor(Math.log10(raw)), step = power * [1, 2, 5, 10].find((f) => f * power >= raw);
  const first = Math.ceil((centre - length / 2 / scale) / step), count = Math.floor(length / scale / step) + 1;
  return Array.from({ length: count }, (_, k) => (first + k) * step).filter((value) => Math.abs(value - centre) <= length / 2 / scale);
}

function drawAxes(pen, view, { left, top, w, h }, titles, note, { ink, font }) {
  const line = (x0, y0, x1, y1, alpha) => { pen.globalAlpha = alpha; pen.beginPath(); pen.moveTo(x0, y0); pen.lineTo(x1, y1); pen.stroke(); pen.globalAlpha = 0.75; };
  Object.assign(pen, { fillStyle: ink, strokeStyle: ink, lineWidth: 1, font: `13px ${font}`, textBaseline: "middle", textAlign: "center" });
  for (const value of ticks(view.x, view.sx, w)) {
    const px = left + w / 2 + (value - view.x) * view.sx;
    line(px, top, px, top + h, value ? 0.07 : 0.25);
    pen.fillText(short(value), px, top + h + 12);
  }
  pen.textAlign = "right";
  for (const value of ticks(view.y, view.sy, h)) {
    const py = top + h / 2 - (value - view.y) * view.sy;
    line(left, py, left + w, py, value ? 0.07 : 0.25);
    pen.fillText(short(value), left - 7, py);
  }
  Object.assign(pen, { globalAlpha: 1, textAlign: "center", font: `600 15px ${font}` });
  pen.fillText(titles[0], left + w / 2, top + h + 34);
  pen.save();
  pen.translate(11, top + h / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(titles[1], 0, 0);
  pen.restore();
  Object.assign(pen, { globalAlpha: 0.65, textAlign: "right", font: `13px ${font}` });
  pen.fillText(note, left + w, top + h + 34);
  pen.globalAlpha = 1;
}

/** Even-odd rule; the same arithmetic as ui/latent_points.py, so that both sides count alike. */
function inside(polygon, x, y) {
  let within = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within;
  }
  return within;
}

/** Points as discs by WebGL2: buffers x, y and colour per point, and the order of drawing (grey ones first). */
class GLPainter {
  static VERTEX = `#version 300 es
    in float x; in float y; in vec4 colour; uniform vec2 centre, scale; uniform float size; out vec4 fill;
    void main() { gl_Position = vec4((vec2(x, y) - centre) * scale, 0.0, 1.0); gl_PointSize = size + 1.0; fill = colour; }`;
  static FRAGMENT = `#version 300 es
    precision highp float; in vec4 fill; uniform float size; out vec4 result;
    void main() {
      float away = length(gl_PointCoord - 0.5) * (size + 1.0), edge = size * 0.5;
      float rim = size > 9.0 ? 0.72 + 0.28 * smoothstep(edge, edge - 1.6, away) : 1.0;
      float alpha = fill.a * clamp(edge - away + 0.5, 0.0, 1.0);
      result = vec4(fill.rgb * rim * alpha, alpha);
    }`;

  constructor(canvas) {
    const gl = this.gl = canvas.getContext("webgl2", { antialias: false, alpha: true });
    if (!gl) throw new Error("no WebGL2");
    const program = this.program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, GLPainter.VERTEX], [gl.FRAGMENT_SHADER, GLPainter.FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.order = gl.createBuffer();
    this.buffers = {};
  }
  fill(name, values, size, type, normalised) {
    const { gl } = this, slot = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, (this.buffers[name] ??= gl.createBuffer()));
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(slot);
    gl.vertexAttribPointer(slot, size, type, normalised, 0, 0);
  }
  places(x, y) { this.fill("x", x, 1, this.gl.FLOAT, false); this.fill("y", y, 1, this.gl.FLOAT, false); }
  looks(colours, order) {
    this.fill("colour", colours, 4, this.gl.UNSIGNED_BYTE, true);
    this.gl.bindBuffer(this.gl.ELEMENT_ARRAY_BUFFER, this.order);
    this.gl.bufferData(this.gl.ELEMENT_ARRAY_BUFFER, order, this.gl.DYNAMIC_DRAW);
    this.n = order.length;
  }
  draw(view, w, h, size, ratio) {
    const { gl, program } = this, at = (name) => gl.getUniformLocation(program, name);
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(at("centre"), view.x, view.y);
    gl.uniform2f(at("scale"), (2 * view.sx) / w, (2 * view.sy) / h);
    gl.uniform1f(at("size"), size * ratio);
    gl.drawElements(gl.POINTS, this.n, gl.UNSIGNED_INT, 0);
  }
}

/** The same by a plain 2-D canvas, where there is no WebGL2: squares, slower, said in the corner. */
class CanvasPainter {
  constructor(canvas) { this.pen = canvas.getContext("2d"); this.plain = true; }
  places(x, y) { this.x = x; this.y = y; }
  looks(colours, order) { this.colours = colours; this.order = order; }
  draw(view, w, h, size, ratio) {
    const { pen, colours: c } = this;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, w, h);
    for (const i of this.order) {
      pen.fillStyle = `rgba(${c[4 * i]},${c[4 * i + 1]},${c[4 * i + 2]},${c[4 * i + 3] / 255})`;
      pen.fillRect(w / 2 + (this.x[i] - view.x) * view.sx - size / 2, h / 2 - (this.y[i] - view.y) * view.sy - size / 2, size, size);
    }
  }
}

/** Which point is nearest to a place on the screen: points sorted into square cells, rebuilt when the view changes. */
class Grid {
  constructor(points, shown, view, w, h) {
    const { n, x, y } = points;
    this.columns = Math.ceil(w / CELL) + 1;
    const rows = Math.ceil(h / CELL) + 1, cell = new Int32Array(n).fill(-1);
    this.first = new Uint32Array(this.columns * rows + 1);
    this.px = new Float32Array(n);
    this.py = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      if (!shown[i]) continue;
      const px = (this.px[i] = w / 2 + (x[i] - view.x) * view.sx), py = (this.py[i] = h / 2 - (y[i] - view.y) * view.sy);
      if (px < 0 || py < 0 || px > w || py > h) continue;
      cell[i] = ((py / CELL) | 0) * this.columns + ((px / CELL) | 0);
      this.first[cell[i] + 1]++;
    }
    for (let c = 0; c < this.columns * rows; c++) this.first[c + 1] += this.first[c];
    const next = this.first.slice();
    this.sorted = new Uint32Array(next[next.length - 1]);
    for (let i = 0; i < n; i++) if (cell[i] >= 0) this.sorted[next[cell[i]]++] = i;
    this.rows = rows;
  }
  nearest(px, py, reach) {
    let best = -1, least = reach * reach;
    const from = (value) => Math.max(0, ((value - reach) / CELL) | 0), to = (value, end) => Math.min(end - 1, ((value + reach) / CELL) | 0);
    for (let row = from(py); row <= to(py, this.rows); row++) {
      for (let column = from(px); column <= to(px, this.columns); column++) {
        const c = row * this.columns + column;
        for (let k = this.first[c]; k < this.first[c + 1]; k++) {
          const i = this.sorted[k], away = (this.px[i] - px) ** 2 + (this.py[i] - py) ** 2;
          if (away < least) { least = away; best = i; }
        }
      }
    }
    return best;
  }
}

/** Pictures of points (input and reconstruction side by side), fetched one at a time, the last thousands kept. */
class Pictures {
  constructor() { this.kept = new Map(); this.fetch = new Latest((work) => work()); }
  find(url, done, failed) {
    if (this.kept.has(url)) { done(this.kept.get(url)); return; }
    this.fetch.ask(async () => {
      try {
        const picture = await bitmap(url);
        this.kept.set(url, picture);
        if (this.kept.size > 4000) this.kept.delete(this.kept.keys().next().value);
        done(picture);
      } catch (error) { failed(error); }
    });
  }
}
