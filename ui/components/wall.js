// The reconstruction wall: the same images down the side, a column a model. All pictures come in one strip a column, which is the
// background of its cells: some hundred canvases would cost the browser a third of a second for each frame. All cells show the same
// part of their images: zoom and drag move them together. A click swipes between two columns.
const GAP = 9, CAPTION = 24, BETWEEN = 32, LARGEST = 112, SMALL = 72, SCREEN = 660, LARGEST_ZOOM = 8, ROOMY = 1.3, STEEP = 50;
const COLD = [33, 102, 172], WARM = [202, 60, 24];
const walls = new WeakMap();
let made = 0; // walls of this document: a report has them all in one

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  let wall = walls.get(parentElement);
  if (!wall) walls.set(parentElement, (wall = new Wall(parentElement.querySelector(".root"))));
  const drawn = () => {
    if (data.awaited && !wall.told) setTimeout(() => setStateValue("drawn", true), 100); // what follows keeps the browser busy
    wall.told = true;
  };
  wall.show(data).then(drawn, (error) => { drawn(); throw error; });
  return () => { wall.close(); walls.delete(parentElement); };
}

const add = (tag, className, parent, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
};

// As exact as the address, so that it opens the same view to the pixel.
const round = (value, parts) => Math.round(value * parts) / parts;

// A column with its strip, once that is decoded.
async function decode(column) {
  const image = new Image();
  image.src = column.strip;
  await image.decode();
  return { ...column, image };
}

function pixels(image) {
  const pen = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight }).getContext("2d");
  pen.drawImage(image, 0, 0);
  return pen.getImageData(0, 0, image.naturalWidth, image.naturalHeight).data;
}

// Once what stands in the document is on the screen; in a tab that nobody looks at, soon.
const shown = () => new Promise((go) => { setTimeout(go, 500); requestAnimationFrame(() => requestAnimationFrame(go)); });

class Wall {
  constructor(root) {
    this.root = root;
    this.name = `w${made++}`;
    this.columnStyle = add("style", "", root); // which strip a column shows
    this.rowStyle = add("style", "", root); // and which part of it a row
    this.tools = add("div", "tools", root);
    this.bar = add("div", "bar", this.tools);
    for (const [text, name, press] of [["−", "Zoom out", () => this.zoomed(1 / 1.5)], ["+", "Zoom in", () => this.zoomed(1.5)], ["1:1", "Whole images", () => this.zoomed(0)], ["PNG", "Save as PNG", () => this.save()]]) {
      const button = Object.assign(add("button", "", this.tools, text), { type: "button", title: name, onclick: press });
      button.setAttribute("aria-label", name);
    }
    this.blocks = add("div", `blocks ${this.name}`, root);
    this.dialog = add("dialog", "swipe", root);
    this.dialog.onclick = (event) => { if (event.target === this.dialog) this.dialog.close(); };
    this.dialog.onclose = () => { if (!this.closed) this.link("swipe", null); };
    this.view = { zoom: 1, x: 0.5, y: 0.5 };
    this.resized = new ResizeObserver(() => { if (this.columns && root.clientWidth !== this.wide) this.build(); });
    this.resized.observe(root);
    this.blocks.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.blocks.addEventListener("pointerdown", (event) => this.grab(event));
    this.blocks.addEventListener("dblclick", () => this.look({ zoom: 1, x: 0.5, y: 0.5 }));
    this.themed = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => { this.maps = null; this.draw(); };
    this.themed.addEventListener("change", this.repaint);
  }

  close() {
    this.closed = true;
    this.resized.disconnect();
    this.themed.removeEventListener("change", this.repaint);
    if (this.dialog.open) this.dialog.close();
  }

  async show(data) {
    const asked = (this.asked = {});
    const known = new Map((this.columns ?? []).map((column) => [column.strip, column]));
    const columns = await Promise.all(data.columns.map((column) => known.has(column.strip) ? { ...known.get(column.strip), ...column } : decode(column)));
    if (this.closed || asked !== this.asked) return; // a newer wall was asked for meanwhile
    const first = !this.data;
    if (!first && this.data.shape.join() !== data.shape.join()) this.view = { zoom: 1, x: 0.5, y: 0.5 };
    Object.assign(this, { data, columns, maps: null });
    if (first) this.look(this.linked("zoom", 3, ([zoom, x, y]) => ({ zoom, x, y })) ?? this.view);
    this.build();
    if (first) this.opened();
    await shown();
  }

  // What the address says of this wall, as numbers; null where it says nothing that can be read. A file of its own has no say.
  linked(name, count, use) {
    const numbers = this.data.link == null ? [] : (asked(name + this.data.link) ?? "").split(",").map(Number);
    return numbers.length === count && numbers.every(Number.isFinite) ? use(numbers) : null;
  }

  link(name, value) {
    if (this.data?.link != null) keep(name + this.data.link, value);
  }

  // The swipe that the address asks for: the image's number, two columns, where the handle stands.
  opened() {
    this.linked("swipe", 4, ([index, left, right, share]) => {
      const row = this.data.rows.findIndex((one) => one.index === index);
      if (row >= 0 && this.columns[left] && this.columns[right]) this.swipe(row, right, { pair: [left, right], share: Math.min(1, Math.max(0, share)) });
    });
  }

  // Blocks side by side, and an image's size: the largest with which all fit on a screen. An image's pixel is a whole number of the screen's.
  layout() {
    const width = this.columns.length, count = this.data.rows.length, [, high, side] = this.data.shape, grow = this.wide / 1184;
    const [largest, screen] = [LARGEST * Math.max(1, grow), Math.max(SCREEN, (window.innerHeight || 720) * 0.9)];
    const options = [];
    for (let blocks = 1; blocks <= count; blocks++) {
      const room = Math.min(largest, ((this.wide + BETWEEN) / blocks - BETWEEN) / width - GAP);
      const whole = Math.floor(room / side), sizes = whole ? Array.from({ length: whole }, (_, i) => (i + 1) * side) : [Math.max(room, 1)];
      for (const size of sizes) options.push({ blocks, size, tall: Math.ceil(count / blocks) * ((size * high) / side + CAPTION) });
    }
    const best = (some, key) => some.reduce((a, b) => (key(b) > key(a) ? b : a));
    const large = options.filter((o) => o.size >= Math.min(SMALL, largest)), fits = large.filter((o) => o.tall <= screen);
    if (fits.length) return best(fits, (o) => o.size * 1000 + o.blocks);
    const most = Math.max(...large.map((o) => o.blocks)), some = large.filter((o) => o.blocks === most);
    const middling = some.filter((o) => o.size <= 88 * Math.max(1, grow));
    return some.length ? (middling.length ? best(middling, (o) => o.size) : best(some, (o) => -o.size)) : best(options.filter((o) => o.blocks === 1), (o) => o.size);
  }

  build() {
    this.wide = this.root.clientWidth;
    if (!this.wide) return;
    const { blocks, size } = this.layout(), count = this.data.rows.length, rows = Math.ceil(count / blocks);
    const [, high, side] = this.data.shape, room = ((this.wide + BETWEEN) / blocks - BETWEEN) / this.columns.length - GAP;
    const track = Math.floor(Math.max(size, Math.min(room, ROOMY * size))); // what an image leaves of the width helps the heads
    const focused = this.root.getRootNode().activeElement, held = this.cells?.find(({ image }) => image === focused);
    Object.assign(this, { size, tall: (size * high) / side });
    this.steep = track < STEEP;
    this.blocks.classList.toggle("steep", this.steep);
    this.blocks.replaceChildren();
    this.cells = [];
    for (let first = 0; first < count; first += rows) {
      const block = add("div", "block", this.blocks);
      block.style.gridTemplateColumns = `repeat(${this.columns.length}, ${track}px)`;
      for (const column of this.columns) this.head(column, block);
      for (let row = first; row < Math.min(first + rows, count); row++)
        this.columns.forEach((column, place) => {
          const cell = add("figure", [column.kind, column.best[row] ? "best" : ""].join(" "), block);
          if (column.colour) cell.style.setProperty("--c", column.colour);
          const image = add("div", `cell c${place} r${row}`, cell);
          image.tabIndex = this.cells.length ? -1 : 0;
          image.setAttribute("role", "button");
          image.setAttribute("aria-label", `${column.label}, ${this.data.rows[row].title}: ${column.captions[row]}`);
          image.title = column.titles?.[row] ?? this.data.rows[row].title;
          image.onkeydown = (event) => this.reach(event, row, place);
          add("figcaption", "", cell, column.captions[row]);
          this.cells.push({ image, row, place });
        });
    }
    this.draw();
    if (held) this.focus(held.row, held.place, { preventScroll: true }); // a newer picture of a model that trains takes nobody's place away
    shown().then(() => { this.root.dataset.cells = this.cells.length; performance.mark("wall-drawn"); });
  }

  head(column, block) {
    const head = add("div", `head ${column.kind}`, block);
    if (column.colour) head.style.setProperty("--c", column.colour);
    head.title = column.title;
    add("b", "", head, column.label);
    add("small", "", head, this.steep ? column.note.replace("mean ", "") : column.note);
  }

  draw() {
    if (!this.cells) return;
    cancelAnimationFrame(this.frame); // it would draw the same again
    const maps = this.data.mode === "differences" ? (this.maps ??= this.differences()) : null;
    if (this.styled !== (maps ?? this.columns)) this.columnStyle.textContent = this.columns.map((column, place) => `.${this.name} .c${place} { background-image: url(${maps?.[place]?.url ?? column.strip}); }`).join("\n");
    this.styled = maps ?? this.columns;
    this.rowStyle.textContent = this.parts();
    this.scale(maps);
    this.root.dataset.mode = this.data.mode;
    this.root.dataset.zoom = this.view.zoom.toFixed(2);
  }

  // The part of an image that all cells show.
  part(row) {
    const [, high, side] = this.data.shape, { zoom, x, y } = this.view, [w, h] = [side / zoom, high / zoom];
    return [row * side + Math.min(side - w, Math.max(0, x * side - w / 2)), Math.min(high - h, Math.max(0, y * high - h / 2)), w, h];
  }

  // The same as rules for the cells.
  parts() {
    const [, high, side] = this.data.shape, count = this.data.rows.length, { size, tall, name } = this, grow = size / this.part(0)[2];
    const whole = `.${name} figure { width: ${size}px; } .${name} .cell { height: ${tall}px; background-size: ${count * side * grow}px ${high * grow}px; }`;
    const place = (row) => { const [x, y] = this.part(row); return `.${name} .r${row} { background-position: ${-x * grow}px ${-y * grow}px; }`; };
    return [whole, ...this.data.rows.map((_, row) => place(row))].join("\n");
  }

  // Column -> a canvas of its signed differences from the original, mean over the channels, all on one scale.
  differences() {
    const original = pixels(this.columns[0].image), values = this.columns.map((column, place) => {
      if (!place) return null;
      const mine = pixels(column.image), found = new Float32Array(mine.length / 4);
      for (let i = 0; i < found.length; i++)
        found[i] = (mine[4 * i] + mine[4 * i + 1] + mine[4 * i + 2] - original[4 * i] - original[4 * i + 1] - original[4 * i + 2]) / 765;
      return found;
    });
    const sizes = Float32Array.from(values.flatMap((found) => (found ? [...found.filter((_, i) => i % 3 === 0)].map(Math.abs) : []))).sort();
    this.limit = Math.max(0.05, Math.ceil(20 * (sizes[Math.floor(0.995 * sizes.length)] ?? 0)) / 20);
    const middle = this.middle();
    return values.map((found, place) => {
      if (!found) return null;
      const { naturalWidth: width, naturalHeight: height } = this.columns[place].image, canvas = Object.assign(document.createElement("canvas"), { width, height });
      const pen = canvas.getContext("2d"), image = pen.createImageData(width, height);
      for (let i = 0; i < found.length; i++) image.data.set([...this.colour(found[i] / this.limit, middle), 255], 4 * i);
      pen.putImageData(image, 0, 0);
      return { canvas, url: canvas.toDataURL() };
    });
  }

  // Where nothing differs: near the page's own ground.
  middle() {
    const [r, g, b] = getComputedStyle(this.root).color.match(/[\d.]+/g).map(Number);
    return r + g + b > 384 ? [24, 27, 33] : [247, 247, 247];
  }

  colour(share, middle) {
    const end = share < 0 ? COLD : WARM, t = Math.min(1, Math.abs(share));
    return middle.map((from, i) => Math.round(from + t * (end[i] - from)));
  }

  scale(maps) {
    this.bar.hidden = !maps;
    if (!maps) return;
    const limit = this.limit.toFixed(2), middle = this.middle(), css = (rgb) => `rgb(${rgb.join()})`;
    this.bar.replaceChildren();
    add("span", "", this.bar, `too dark by ${limit}`);
    add("i", "", this.bar).style.background = `linear-gradient(90deg, ${css(COLD)}, ${css(middle)}, ${css(WARM)})`;
    add("span", "", this.bar, `too bright by ${limit}`);
    add("small", "", this.bar, "difference from the original, for pixels in [0,1]; one scale for all");
  }

  look(view) {
    const zoom = round(Math.min(LARGEST_ZOOM, Math.max(1, view.zoom)), 100), edge = 0.5 / zoom, hold = (value) => Math.min(1 - edge, Math.max(edge, value));
    this.view = { zoom, x: round(hold(view.x), 1e4), y: round(hold(view.y), 1e4) };
    this.link("zoom", zoom > 1 ? Object.values(this.view).join() : null);
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  wheel(event) {
    if (!event.target.matches(".cell") || !(event.ctrlKey || event.metaKey || event.altKey || this.view.zoom > 1)) return; // else the page scrolls
    event.preventDefault();
    this.magnify(event, Math.exp(-event.deltaY / 300));
  }

  magnify(event, factor) {
    const box = event.target.getBoundingClientRect(), [px, py] = [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
    const { zoom, x, y } = this.view, next = Math.min(LARGEST_ZOOM, Math.max(1, zoom * factor));
    this.look({ zoom: next, x: x + px / zoom - px / next, y: y + py / zoom - py / next });
  }

  // One stop for the tab key: from there arrows lead to the other cells, Enter or a space swipes.
  reach(event, row, place) {
    const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key], open = ["Enter", " "].includes(event.key);
    if (!way && !open) return;
    event.preventDefault();
    if (open) return this.swipe(row, place);
    this.focus(row + way[0], place + way[1]);
  }

  focus(row, place, how) {
    const next = this.cells.find((cell) => cell.row === row && cell.place === place);
    if (!next) return;
    for (const { image } of this.cells) image.tabIndex = image === next.image ? 0 : -1;
    next.image.focus(how);
  }

  // A drag moves all cells; a press without one swipes.
  grab(event) {
    if (!event.target.matches(".cell") || event.button) return;
    const start = { ...this.view, left: event.clientX, top: event.clientY }, { target } = event;
    let moved = false;
    const move = (at) => {
      const [dx, dy] = [at.clientX - start.left, at.clientY - start.top];
      moved ||= Math.hypot(dx, dy) > 4;
      if (moved) this.look({ zoom: start.zoom, x: start.x - dx / this.size / start.zoom, y: start.y - dy / this.size / start.zoom });
    };
    const up = () => {
      window.removeEventListener("pointermove", move);
      const cell = this.cells.find((one) => one.image === target);
      if (!moved && cell) this.swipe(cell.row, cell.place);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", up, { once: true });
  }

  zoomed(factor) {
    this.look({ ...this.view, zoom: this.view.zoom * factor });
  }

  // All cells with their captions as one picture.
  save() {
    const [, high, side] = this.data.shape, scale = Math.max(1, Math.round(84 / side)), [w, h] = [side * scale + GAP, high * scale + CAPTION];
    const style = getComputedStyle(this.root), canvas = Object.assign(document.createElement("canvas"), { width: this.columns.length * w + GAP, height: this.data.rows.length * h + 2 * CAPTION });
    const pen = canvas.getContext("2d"), maps = this.data.mode === "differences" ? (this.maps ??= this.differences()) : null;
    const ground = style.getPropertyValue("--st-background-color").trim() || getComputedStyle(document.body).backgroundColor;
    Object.assign(pen, { fillStyle: ground, imageSmoothingEnabled: false });
    pen.fillRect(0, 0, canvas.width, canvas.height);
    Object.assign(pen, { fillStyle: style.color, font: "600 12px sans-serif", textAlign: "center" });
    this.columns.forEach((column, place) => {
      const left = GAP + place * w;
      pen.fillText(column.label, left + (w - GAP) / 2, 16, w - GAP);
      pen.fillText(column.note, left + (w - GAP) / 2, 32, w - GAP);
      this.data.rows.forEach((_, row) => {
        pen.drawImage(maps?.[place]?.canvas ?? column.image, ...this.part(row), left, 2 * CAPTION + row * h, w - GAP, h - CAPTION);
        pen.fillText(column.captions[row], left + (w - GAP) / 2, 2 * CAPTION + row * h + h - CAPTION + 14, w - GAP);
      });
    });
    Object.assign(document.createElement("a"), { href: canvas.toDataURL("image/png"), download: "reconstructions.png" }).click();
  }

  // One image large, two columns over each other: the handle shows more of one or of the other.
  swipe(row, place, asked) {
    const two = this.data.pair?.includes(place) ? [...this.data.pair] : [place ? 0 : Math.min(1, this.columns.length - 1), place];
    this.swiped = { row, pair: two, share: 0.5, ...asked };
    this.dialog.replaceChildren();
    const head = add("div", "choice", this.dialog);
    this.boxes = [0, 1].map((side) => {
      const box = add("select", "", head);
      box.setAttribute("aria-label", side ? "Right" : "Left");
      this.columns.forEach((column, i) => add("option", "", box, column.label).setAttribute("value", i));
      box.onchange = () => { this.swiped.pair[side] = +box.value; this.over(); };
      return box;
    });
    const [, high, side] = this.data.shape, room = Math.min(window.innerHeight * 0.62, window.innerWidth * 0.8, 620), scale = Math.max(1, Math.floor(room / Math.max(high, side)));
    this.large = Object.assign(add("canvas", "large", this.dialog), { width: side * scale, height: high * scale, tabIndex: 0, autofocus: true });
    const drag = (event) => { const box = this.large.getBoundingClientRect(); this.swiped.share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)); this.over(); };
    this.large.onpointermove = drag;
    this.large.onpointerdown = drag;
    this.told = add("p", "told", this.dialog);
    add("small", "", this.dialog, "Move over the image to swipe · ↑ ↓ another image · Esc closes");
    this.dialog.onkeydown = (event) => this.key(event);
    this.dialog.showModal();
    this.large.focus();
    this.over();
  }

  key(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key], slide = { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key];
    if (event.target.tagName === "SELECT" || (!step && !slide)) return;
    event.preventDefault();
    const count = this.data.rows.length;
    if (step) this.swiped.row = (this.swiped.row + step + count) % count;
    else this.swiped.share = Math.min(1, Math.max(0, this.swiped.share + slide));
    this.over();
  }

  over() {
    const { row, pair } = this.swiped, share = (this.swiped.share = round(this.swiped.share, 1000)), pen = this.large.getContext("2d"), { width, height } = this.large, [, high, side] = this.data.shape;
    pen.imageSmoothingEnabled = false;
    const [left, right] = pair.map((place) => this.columns[place]), cut = Math.round(width * share);
    pen.drawImage(right.image, row * side, 0, side, high, 0, 0, width, height);
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, cut, height);
    pen.clip();
    pen.drawImage(left.image, row * side, 0, side, high, 0, 0, width, height);
    pen.restore();
    Object.assign(pen, { fillStyle: "#ff9d2e" });
    pen.fillRect(cut - 1, 0, 3, height);
    this.boxes.forEach((box, i) => (box.value = pair[i]));
    const say = (column) => (column.kind === "original" ? column.label : `${column.label}: ${column.captions[row]}`);
    this.link("swipe", [this.data.rows[row].index, ...pair, share].join());
    this.told.textContent = `${this.data.rows[row].title} · ${say(left)} | ${say(right)}`;
  }
}
