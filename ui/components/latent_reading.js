// What the latent map reads: points as bytes, pictures of images and of places. ui/latent_map.py puts this file and its
// brothers latent_*.js in front of latent.js, as one module: a component's script cannot import.

const TYPES = { float32: Float32Array, int32: Int32Array, uint16: Uint16Array };

/** [uint32 length of the header][header JSON][columns, each padded to 4 bytes] -> {header, n, x, y, z in three dimensions, index, label, group, error} */
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

/** The coordinates of points as columns: two, or three. */
const columns = ({ x, y, z }) => (z ? [x, y, z] : [x, y]);

function joined(a, b) {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
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

/** Pictures of points (input and reconstruction side by side), fetched one at a time, the last thousands kept. */
class Pictures {
  constructor() { this.kept = new Map(); this.fetch = new Latest((work) => work()); this.sheets = new Latest((work) => work()); }
  find(url, done, failed) {
    if (this.kept.has(url)) { done(this.kept.get(url)); return; }
    this.fetch.ask(async () => {
      try {
        const picture = await bitmap(url);
        this.keep(url, picture);
        done(picture);
      } catch (error) { failed(error); }
    });
  }

  /** Several at once, one below the other in the picture at `sheet`. */
  ahead(sheet, urls) {
    this.sheets.ask(async () => {
      const all = await bitmap(sheet), high = all.height / urls.length;
      const found = await Promise.all(urls.map((_, row) => createImageBitmap(all, 0, row * high, all.width, high)));
      urls.forEach((url, row) => this.keep(url, found[row]));
    });
  }

  keep(url, picture) {
    this.kept.set(url, picture);
    if (this.kept.size > 4000) this.kept.delete(this.kept.keys().next().value);
  }
}
