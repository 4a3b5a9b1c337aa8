// Places of points: which part of the plane shows them all, whose place is where, which point is nearest to the cursor.

const CELL = 8;  // side of a cell of the picking grid, in pixels

/** The full range, unless a few stragglers would squeeze all the others into a corner; of very many, that of the first ones,
 *  which are a sample. */
function span(values) {
  const sorted = Float32Array.from(values.subarray(0, 50000)).sort();
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const reach = 0.5 * (at(0.995) - at(0.005)) || Infinity;
  const low = Math.max(sorted[0], at(0.005) - reach), high = Math.min(at(1), at(0.995) + reach);
  return high > low ? [low, high] : [low - 1, low + 1];
}

/** The view that shows all, or the ranges of a `frame` that several maps share: one scale for both axes, unless that would leave half
 *  of the field empty, or always, where lengths along both are `alike`: a direction in which nothing varies must not look as wide as the others. */
function fit({ n, x, y }, w, h, alike, frame) {
  if (!n) return { x: 0, y: 0, sx: 1, sy: 1 };
  const [[left, right], [low, high]] = frame ?? [span(x), span(y)];
  let sx = w / (right - left) / 1.08, sy = h / (high - low) / 1.08;
  if (alike || Math.max(sx, sy) < 2 * Math.min(sx, sy)) sx = sy = Math.min(sx, sy);
  return { x: (left + right) / 2, y: (low + high) / 2, sx, sy };
}

/** The median of each group's points, how far nearly all of them reach, and half of them: [{group, x, y, wide, high, core}]. */
function middles({ n, x, y, group }, shown, groups) {
  const places = new Map(), stride = Math.max(1, Math.floor(n / 8000));
  for (let i = 0; i < n; i += stride) {
    if (!shown[i] || group[i] >= groups) continue;
    if (!places.has(group[i])) places.set(group[i], [[], []]);
    places.get(group[i])[0].push(x[i]);
    places.get(group[i])[1].push(y[i]);
  }
  const spread = (values) => {
    const sorted = Float32Array.from(values).sort(), at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
    return [(sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2, at(0.9) - at(0.1), at(0.75) - at(0.25)];
  };
  return [...places].sort((a, b) => a[0] - b[0]).map(([at, [xs, ys]]) => {
    const [x, wide, across] = spread(xs), [y, high, up] = spread(ys);
    return { group: at, x, y, wide, high, core: [across, up] };
  });
}

/** The same, one for groups of which half and more lie in one place, the same for all of them: [{..., others}]. */
function piles(middles, { sx, sy }) {
  const found = [], small = (x, y) => Math.abs(x) * sx < 1 && Math.abs(y) * sy < 1;
  for (const one of middles) {
    const same = small(...one.core) && found.find((other) => small(...other.core) && small(one.x - other.x, one.y - other.y));
    if (same) same.others.push(one.group); else found.push({ ...one, others: [] });
  }
  return found;
}

/** Names [text, px, py, width] on the screen, pushed apart where they would cover each other. */
function apart(names) {
  for (let round = 0; round < 8; round++) {
    names.forEach((a, i) => names.slice(0, i).forEach((b) => {
      const overlap = Math.abs(a[1] - b[1]) < (a[3] + b[3]) / 2 + 5 && 18 * UNIT - Math.abs(a[2] - b[2]);
      if (overlap > 0) { const side = a[2] < b[2] ? -1 : 1; a[2] += (side * overlap) / 2; b[2] -= (side * overlap) / 2; }
    }));
  }
  return names;
}

/** Round values, at least so many pixels apart, in the part of an axis that is seen, each with its text: as many digits as tell it
 *  from the next. */
function ticks(centre, scale, length, apart) {
  const raw = apart / scale, power = 10 ** Math.floor(Math.log10(raw)), step = power * [1, 2, 5, 10].find((f) => f * power >= raw);
  const first = Math.ceil((centre - length / 2 / scale) / step), count = Math.floor(length / scale / step) + 1;
  const digits = Math.min(20, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const seen = Array.from({ length: count }, (_, k) => (first + k) * step).filter((value) => Math.abs(value - centre) <= length / 2 / scale);
  return seen.map((value) => [value, written(Number(value.toFixed(digits)))]);
}

/** A number, by its power of ten where that is shorter. */
function written(value) {
  const size = Math.abs(value);
  return (size && (size < 1e-3 || size >= 1e5) ? value.toExponential() : value.toString()).replaceAll("-", "−").replace("e+", "e");
}

/** Even-odd rule; the same arithmetic as ui/latent_exchange.py, so that both sides count alike. */
function inside(polygon, x, y) {
  let within = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within;
  }
  return within;
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
  /** Call `visit` with each point within `reach` of a place, and its squared distance. */
  near(px, py, reach, visit) {
    const from = (value) => Math.max(0, ((value - reach) / CELL) | 0), to = (value, end) => Math.min(end - 1, ((value + reach) / CELL) | 0);
    for (let row = from(py); row <= to(py, this.rows); row++) {
      for (let column = from(px); column <= to(px, this.columns); column++) {
        const c = row * this.columns + column;
        for (let k = this.first[c]; k < this.first[c + 1]; k++) {
          const i = this.sorted[k], away = (this.px[i] - px) ** 2 + (this.py[i] - py) ** 2;
          if (away < reach * reach) visit(i, away);
        }
      }
    }
  }

  nearest(px, py, reach) {
    let best = -1, least = Infinity;
    this.near(px, py, reach, (i, away) => { if (away < least) { least = away; best = i; } });
    return best;
  }

  /** The points around a place, the nearest first, `most` of them. */
  around(px, py, reach, most) {
    const found = [];
    this.near(px, py, reach, (i, away) => found.push([away, i]));
    return found.sort((a, b) => a[0] - b[0]).slice(0, most).map(([, i]) => i);
  }
}

/** Three dimensions seen from one side: turned by two angles, flattened onto the plane that looks at the viewer. */
class Turn {
  constructor(raw, n) {
    const spans = raw.map((column) => span(column.subarray(0, n)));
    this.middle = spans.map(([low, high]) => (low + high) / 2);
    this.reach = spans.map(([low, high]) => (high - low) / 2);
    this.radius = Math.hypot(...this.reach) || 1;
    this.by(0.6, 0.35);
  }

  by(yaw, pitch) {
    this.yaw = (this.yaw ?? 0) + yaw;
    this.pitch = Math.max(-1.57, Math.min(1.57, (this.pitch ?? 0) + pitch));
    const [s, c, u, v] = [Math.sin(this.yaw), Math.cos(this.yaw), Math.sin(this.pitch), Math.cos(this.pitch)];
    this.rows = [[c, -s, 0], [s * u, c * u, v], [-s * v, -c * v, u]];  // to the right, upwards, towards the viewer
  }

  flat(a, b, c) { return this.rows.map(([x, y, z]) => x * a + y * b + z * c); }

  /** Columns of three dimensions as {x, y, depth}: in the plane, and from -1, far, to 1, near. */
  seen([a, b, c]) {
    const n = a.length, [right, up, near] = this.rows, away = this.flat(...this.middle)[2];
    if (this.x?.length !== n) [this.x, this.y, this.depth] = [0, 1, 2].map(() => new Float32Array(n));
    for (let i = 0; i < n; i++) {
      this.x[i] = right[0] * a[i] + right[1] * b[i] + right[2] * c[i];
      this.y[i] = up[0] * a[i] + up[1] * b[i] + up[2] * c[i];
      this.depth[i] = (near[0] * a[i] + near[1] * b[i] + near[2] * c[i] - away) / this.radius;
    }
    return this;
  }

  /** The view that shows all from every side, `zoom` times as large. */
  view(w, h, zoom = 1) {
    const [x, y] = this.flat(...this.middle), scale = (zoom * Math.min(w, h)) / (1.3 * this.radius);
    return { x, y, sx: scale, sy: scale };
  }

  /** The part of an order of points from `first` on, the farthest first. */
  sort(order, first) {
    const part = order.slice(first), start = new Uint32Array(258);
    const step = (i) => Math.max(0, Math.min(255, ((this.depth[i] + 1) * 128) | 0));
    for (const i of part) start[step(i) + 1]++;
    for (let s = 0; s < 257; s++) start[s + 1] += start[s];
    for (const i of part) order[first + start[step(i)]++] = i;
  }
}
