// Places of the plane that were pinned, each with the picture that the decoder draws there.

class Pins {
  constructor(map) { this.map = map; this.all = []; }

  async add(x, y) {
    const pin = { x, y };
    this.all.push(pin);
    if (this.all.length > 24) this.all.shift();
    this.map.redraw(false);
    await this.fill(pin);
    this.tell();
  }

  async fill(pin) {
    pin.picture = await bitmap(this.map.decodeUrl(pin.x, pin.y)).catch(() => pin.picture);
    this.map.redraw(false);
  }

  /** The same pins with another model; without any where a place means another code now. */
  refresh(old, data) {
    if (old.plane !== data.plane && this.all.length) { this.all = []; setTimeout(() => this.tell()); }
    if (old.decode !== data.decode) for (const pin of this.all) this.fill(pin);
  }

  tell() {
    this.map.tell("pins", this.all.map(({ x, y }) => [x, y]));
    this.map.redraw(false);
  }

  box({ x, y }) {
    const side = Math.max(48, Math.min(84, this.map.h / 8)), [px, py] = this.map.toScreen(x, y);
    const left = Math.max(LEFT + 2, Math.min(LEFT + this.map.w - side - 2, px - side / 2));  // whole, though its place is at the edge
    return { side, px, py, left, top: py - side - 12 > TOP ? py - side - 12 : py + 12 };
  }

  /** Take away the pin at a place of the screen; whether there was one. */
  remove(px, py) {
    const at = this.all.findIndex((pin) => {
      const { side, left, top } = this.box(pin);
      return px > left && px < left + side && py > top - 12 && py < top + side + 12;
    });
    if (at < 0) return false;
    this.all.splice(at, 1);
    this.tell();
    return true;
  }
}
