// A small canvas to draw an image on, in the colours of the data: its own background, and ink that stands out from it.
// After every stroke Python gets the picture ("drawing": a PNG as data URL, "" where nothing is drawn).
const boards = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".root");
  let board = boards.get(parentElement);
  if (!board) boards.set(parentElement, (board = new Board(root)));
  board.update(data, setStateValue);
  return () => boards.delete(parentElement);
}

class Board {
  constructor(root) {
    this.canvas = element("canvas", "", root);
    this.canvas.setAttribute("aria-label", "Draw here");
    const tools = element("div", "tools", root);
    this.colour = Object.assign(element("input", "", tools), { type: "color", title: "Colour of the ink" });
    this.width = Object.assign(element("input", "", tools), { type: "range", min: 1, max: 10, value: 4, title: "Width of the brush" });
    this.clear = Object.assign(element("button", "", tools), { type: "button", textContent: "Clear" });
    this.width.setAttribute("aria-label", "Width of the brush");
    this.clear.onclick = () => { this.blank(); this.tell("drawing", ""); };
    this.canvas.onpointerdown = (event) => { this.canvas.setPointerCapture(event.pointerId); this.last = this.at(event); this.stroke(event); };
    this.canvas.onpointermove = (event) => { if (this.last) this.stroke(event); };
    this.canvas.onpointerup = () => { this.last = null; this.tell("drawing", this.canvas.toDataURL("image/png")); };
    this.canvas.onpointercancel = () => { this.last = null; };
  }

  update(data, tell) {
    this.tell = tell;
    this.colour.hidden = !data.colours;
    if (this.made === data.made) return;
    this.made = data.made;
    this.data = data;
    const [high, wide] = data.shape, scale = 280 / Math.max(high, wide);
    [this.canvas.width, this.canvas.height] = [Math.round(wide * scale), Math.round(high * scale)];
    this.colour.value = data.ink;
    this.blank();
  }

  blank() {
    const pen = this.canvas.getContext("2d");
    pen.fillStyle = this.data.paper;
    pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.canvas.width, ((event.clientY - box.top) / box.height) * this.canvas.height];
  }

  stroke(event) {
    const pen = this.canvas.getContext("2d"), to = this.at(event);
    Object.assign(pen, { strokeStyle: this.data.colours ? this.colour.value : this.data.ink, lineWidth: (this.canvas.width * this.width.value) / 50, lineCap: "round", lineJoin: "round" });
    pen.beginPath();
    pen.moveTo(...this.last);
    pen.lineTo(...to);
    pen.stroke();
    this.last = to;
  }
}
