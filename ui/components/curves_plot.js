// What is drawn of curves: axes, titles and lines, with a pen that is a canvas's or a file's.
class Plot {
  // `look`: ink, paper, line, font, em (of 16 px); `view`: box, range, log, whole, width, titles {x, y}. All in CSS pixels.
  constructor(pen, look, view) { Object.assign(this, { pen }, look, view); }

  draw(curves) {
    const { pen, box } = this;
    this.axes();
    pen.save();
    pen.beginPath();
    pen.rect(box.x, box.y - 4, box.w + 8, box.h + 4);
    pen.clip();
    curves.sort((a, b) => a.width - b.width).forEach((curve) => this.curve(curve));
    pen.restore();
  }

  px(x) { const [from, to] = this.range.x; return this.box.x + ((x - from) / (to - from)) * this.box.w; }
  py(value) { const [from, to] = this.range.y; return this.box.y + this.box.h - ((fold(value, this.log) - from) / (to - from)) * this.box.h; }

  // What lies under a place of the canvas, on the axis.
  under(place) { const [from, to] = this.range.x; return from + ((place - this.box.x) / this.box.w) * (to - from); }

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
    const whole = this.whole || this.range.x[1] - this.range.x[0] > 4;
    pen.font = this.font;
    const room = pen.measureText(this.range.x[1].toLocaleString("en")).width + 16 * em;
    for (const x of ticks(...this.range.x, Math.max(2, Math.min(8, box.w / room))).filter((x) => !whole || Number.isInteger(x))) this.text(x.toLocaleString("en"), this.px(x), box.y + box.h + 17 * em, "center");
    Object.assign(pen, { strokeStyle: this.ink, globalAlpha: 0.5 });
    rule(box.x, box.y + box.h + 0.5, box.x + box.w, box.y + box.h + 0.5);
    this.text(this.titles.x, box.x + box.w, box.y + box.h + 38 * em, "right", 1);
    this.title(this.titles.y);
  }

  // In letters that are as small as it takes, down to two thirds: then it is cut, and ends with three dots.
  title(words) {
    const size = parseFloat(this.font.match(/[\d.]+(?=px)/)[0]), fit = () => (this.pen.font = this.font, this.width / this.pen.measureText(words).width);
    const share = Math.min(1, Math.max(2 / 3, fit())), whole = this.font;
    this.font = whole.replace(/[\d.]+px/, `${size * share}px`);
    while (fit() < 1 && words.length > 4) words = `${words.replace(/…$/, "").slice(0, -1)}…`;
    this.text(words, 0, 12 * this.em, "left", 1);
    this.font = whole;
  }

  curve({ run, points, width, alpha = 1, dash = [], dots, quiet }) {
    const { pen } = this;
    const line = (strokeStyle, lineWidth, globalAlpha) => {
      Object.assign(pen, { strokeStyle, lineWidth, globalAlpha, lineJoin: "round" });
      pen.beginPath();
      for (const { x, value } of points) pen.lineTo(this.px(x), this.py(value));
      pen.stroke();
    };
    if (dash.length || dots) line(this.paper, width + 3, 0.8); // a mean is seen in the noise that it is the mean of
    pen.setLineDash(dash);
    pen.fillStyle = run.colour;
    line(run.colour, width, quiet ? faintest(run.colour, this.paper) : alpha);
    pen.setLineDash([]);
    if (dots && points.length < this.box.w / 12) for (const { x, value } of points) { pen.beginPath(); pen.arc(this.px(x), this.py(value), 4.2, 0, 7); pen.fill(); }
    pen.globalAlpha = 1;
  }

  // A place on the axis, and there a value of a curve where there is one; false where it is out of sight.
  marker(x, value, accent) {
    const { pen, box } = this, at = this.px(x);
    if (at < box.x - 1 || at > box.x + box.w + 1) return false;
    Object.assign(pen, { strokeStyle: accent, fillStyle: accent, lineWidth: 2 });
    pen.strokeRect(at, box.y, 0, box.h);
    pen.beginPath();
    pen.moveTo(at - 6, box.y - 7);
    pen.lineTo(at + 6, box.y - 7);
    pen.lineTo(at, box.y + 2);
    pen.fill();
    if (value !== undefined) { pen.beginPath(); pen.arc(at, Math.max(box.y, this.py(value)), 5, 0, 7); pen.fill(); }
    return true;
  }

  hair(at) {
    const { pen, box } = this;
    Object.assign(pen, { strokeStyle: this.ink, globalAlpha: 0.4, lineWidth: 1 });
    pen.strokeRect(at, box.y, 0, box.h);
    pen.globalAlpha = 1;
  }

  band(from, to) {
    const { pen, box } = this;
    Object.assign(pen, { fillStyle: this.ink, globalAlpha: 0.12 });
    pen.fillRect(from, box.y, to - from, box.h);
    pen.globalAlpha = 1;
  }
}

// The least share of a colour that stands out from a paper by 3 to 1, as WCAG 2.1 has it (1.4.11).
function faintest(colour, paper) {
  const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255), [ink, ground] = [colour, paper].map(parts);
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = (share) => ink.reduce((sum, part, k) => sum + [0.2126, 0.7152, 0.0722][k] * linear(ground[k] + share * (part - ground[k])), 0.05);
  let share = 0.4;
  while (share < 1 && Math.max(light(share), light(0)) < 3 * Math.min(light(share), light(0))) share += 0.02;
  return Math.min(1, share);
}

const fold = (value, log) => log ? Math.log10(value) : value;

// From where to where values go in a part of the axis, without outliers where they are clipped.
function reach(curves, [from, to], { log, clip }) {
  const sorted = curves.flatMap((c) => c.points).filter((p) => p.x >= from && p.x <= to).map((p) => fold(p.value, log)).sort((a, b) => a - b);
  if (!sorted.length) return log ? [-2, 0] : [0, 1];
  const at = (share) => sorted[Math.floor(sorted.length * share)], low = sorted[0], most = sorted[sorted.length - 1];
  const usual = [0.98, 0.9, 0.75].find((share) => at(share) - low <= 100 * (at(0.5) - low)) ?? 0.75; // of a run that exploded many are outliers
  const high = Math.max(at(usual), ...curves.filter((c) => c.dots).map((c) => fold(c.points[Math.min(1, c.points.length - 1)].value, log)));
  const top = clip && most - low > 3 * (high - low) && high > low ? high : most, room = (top - low || Math.abs(top) || 1) * 0.06;
  return [!log && low >= 0 && (low < 0.35 * top || sorted.length < 20) ? 0 : low - room, top + room];
}

// About `count` round numbers from low to high.
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough)), step = power * [1, 2, 5, 10].find((times) => times * power >= rough);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + 1e-9 * step; at++) found.push(+(at * step).toPrecision(12));
  return found;
}

// 1, 2 and 5 of each power of ten between two logarithms; the powers alone, or some of them, where there are many; round numbers where there are few.
function decades(low, high) {
  const found = [], step = Math.ceil((high - low) / 8) || 1;
  for (let power = step * Math.floor(low / step); power <= high; power += step) for (const times of high - low > 2.5 ? [1] : [1, 2, 5]) found.push(times * 10 ** power);
  const inside = found.filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
  return inside.length > 1 ? inside : ticks(10 ** low, 10 ** high, 4);
}
