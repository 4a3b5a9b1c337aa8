// What the chart knows of a run, and how its rows become points.
const short = (value) => value == null ? "–" : value === 0 ? "0" : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5 ? value.toExponential(2).replace(/\.?0*e\+?/, "e") : String(+value.toPrecision(4));
const nearest = (points, x) => points.reduce((best, point) => (Math.abs(point.x - x) < Math.abs(best.x - x) ? point : best));
// The value of a line through points at a place between them.
function along(points, x) {
  const after = points.findIndex((point) => point.x >= x), [from, to] = [points.at(after - 1), points[after]];
  if (after < 1) return points.at(after).value;
  return from.value + ((x - from.x) / (to.x - from.x)) * (to.value - from.value);
}
const MEASURED = { images_per_second: [3, 1], device_memory: [4, 1e-9], device_load: [5, 100] }; // column of a timing row, and its factor
const WORDS = { mse: "MSE", kl: "KL", kl_dim: "KL by unit", images_per_second: "images/s", device_memory: "memory", device_load: "load" };
const called = (name) => WORDS[name] ?? name.replaceAll("_", " ");

// An exponential moving average that starts at the first value, as if there had been nothing before it. A point can be the
// mean of several values, and counts for as many.
function smoothed(points, weight) {
  let sum = 0, share = 0;
  return points.map((point) => {
    const old = weight ** (point.count ?? 1);
    sum = old * sum + (1 - old) * point.value;
    share = old * share + (1 - old);
    return { ...point, value: sum / share };
  });
}
const span = (seconds) => seconds < 90 ? `${Math.ceil(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;

// Rows become points of curves. Of thinned curves the means of all rows are told beside those that are left.
function fill(metrics, { rows, stretches, epoch_means }) {
  for (const [step, epoch, split, name, value] of rows) {
    const [, bundle, part] = /^(.+_dim)_(\d+)$/.exec(name) ?? [], point = { step, epoch, value };
    if (bundle) { ((metrics[bundle] ??= { parts: {} }).parts[part] ??= []).push(point); continue; }
    const metric = (metrics[name] ??= { train: [], watch: [], means: [] });
    (split === "train" ? metric.train : metric.watch).push(point);
    if (split !== "train" || name in stretches) continue;
    metric.stretches?.push(point);
    average(metric.means, point);
  }
  const means = (found) => found.map(([step, epoch, value, count]) => ({ step, epoch, value, count }));
  for (const name of Object.keys(stretches)) Object.assign(metrics[name], { stretches: means(stretches[name]), means: means(epoch_means[name]) });
}

function average(means, { step, epoch, value }) {
  if (value == null) return;
  let last = means[means.length - 1];
  if (!last || last.epoch !== epoch) means.push((last = { epoch, step, value: 0, count: 0 }));
  last.count += 1;
  last.value += (value - last.value) / last.count;
  last.step = step;
}

// What one run has told so far: its rows by metric, and where it stands.
class Run {
  constructor(info) { Object.assign(this, info, { next: "", metrics: {}, times: [], standing: null, live: false }); }

  take(answer) {
    if (answer.whole) Object.assign(this, { metrics: {}, times: [], near: null, coarse: answer.thinned ? answer.rows.at(-1)[0] : 0 });
    fill(this.metrics, answer);
    for (const row of answer.timing) this.measure(row);
    this.next = answer.next;
    this.standing = answer;
    this.live ||= !answer.ended;
  }

  measure(row) {
    const [step, epoch, seconds] = row;
    this.times.push({ step, seconds });
    for (const [name, [column, factor]] of Object.entries(MEASURED))
      if (row[column] != null) (this.metrics[name] ??= { train: [], watch: [], means: [], kind: "measured" }).train.push({ step, epoch, value: row[column] * factor });
  }

  // The curves of a term: points {step, value} with how they are drawn.
  curves({ term, log, smooth }) {
    const whole = this.metrics[term], metric = this.near?.metrics?.[term] ?? whole;
    if (!whole) return [];
    const good = (points) => points.filter(({ value }) => value != null && (!log || value > 0));
    if (metric.parts) return Object.entries(metric.parts).map(([part, points]) => ({ kind: `unit ${part}`, points: good(points), width: 1.6, alpha: 0.75, bundle: true }));
    const train = good(metric.train), kind = metric.kind ?? "train";
    return [
      { kind, points: train, width: metric.kind && !smooth ? 2 : 1.2, alpha: smooth ? 0.18 : 0.9, quiet: !smooth && !metric.kind },
      smooth ? { kind: `${kind}, smoothed`, points: smoothed(good(whole.stretches ?? whole.train), smooth), width: 2.2 } : { kind: "train, mean", points: good(whole.means.length > 1 ? whole.means : []), width: 2, dash: [6, 5] },
      { kind: "held out", points: good(metric.watch), width: 3.2, dots: true },
    ];
  }

  // The step to which its axis reaches while it goes on: the last one, but in a long run's first tenth not so far that nothing is seen.
  horizon() {
    const { step = 0, total = 0 } = this.standing ?? {};
    let end = total;
    if (step > 0 && step < end / 10) while (end > 8 * step) end /= 4;
    return end;
  }

  // Where a step lies on an axis of steps, epochs or seconds of training.
  across(step, kind) {
    if (kind === "epoch") return step / this.stepsOfAnEpoch();
    if (kind !== "time") return step;
    const after = this.times.findIndex((time) => time.step >= step), last = { step: 0, seconds: 0 };
    const [from, to] = after < 0 ? [this.times.at(-2) ?? last, this.times.at(-1) ?? last] : [this.times[after - 1] ?? last, this.times[after]];
    return to.step > from.step ? from.seconds + ((step - from.step) / (to.step - from.step)) * (to.seconds - from.seconds) : to.seconds;
  }

  stepsOfAnEpoch() {
    const done = this.metrics.mse?.watch.findLast((point) => point.epoch > 0);
    return done ? done.step / done.epoch : (this.standing?.total || 1) / (this.standing?.epochs || 1);
  }

  // The steps that lie in a part of an axis, where the curves are coarser there than they could be; null elsewhere.
  coarseIn([from, to], kind) {
    const at = { step: (x) => x, epoch: (x) => x * this.stepsOfAnEpoch(), time: (x) => (this.times.find((time) => time.seconds >= x) ?? this.times.at(-1) ?? { step: 0 }).step }[kind];
    const [first, last] = [Math.floor(at(from)), Math.ceil(at(to))].map((step) => Math.max(0, step));
    return this.coarse && (last <= this.coarse || this.standing.ended) ? [first, last] : null;
  }

  where() {
    const s = this.standing;
    if (!s) return "";
    if (s.shown === "queued") return s.position ? `waiting, number ${s.position} in the queue` : "waiting";
    if (s.ended) return s.shown + (s.epoch ? ` · epoch ${s.epoch} of ${s.epochs}` : "");
    return [s.shown === "running" ? "" : s.shown, `epoch ${Math.min(s.epoch + (s.shown === "running"), s.epochs || 1)} of ${s.epochs || "…"}`,
      s.speed ? `${Math.round(s.speed).toLocaleString("en")} images/s` : "", s.eta ? `${span(s.eta)} left` : ""].filter(Boolean).join(" · ");
  }
}
