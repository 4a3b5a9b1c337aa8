// The card at the cursor: a point's image and reconstruction, or what the decoder draws at an empty place.

class Card {
  constructor(map, root) {
    this.map = map;
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.pictures = new Pictures();
    this.decoding = new Latest((place) => this.decode(place));
    this.refused = 0;
  }

  hide() { this.root.classList.remove("shown"); }

  /** The point under the cursor; its picture comes from this browser's memory, or in some milliseconds. */
  point(hit) {
    const { map } = this, { index, label, group, error } = map.points, { split } = map.data.view, titles = [map.name(label[hit]), ...this.by(group[hit])];
    const mse = error && Number.isFinite(error[hit]) ? ` · error ${error[hit].toPrecision(2)}` : "";
    const show = (picture, said) => {
      if (map.hover !== hit) return;
      this.pictured = hit;
      const [high, wide] = map.data.shape, pair = picture && picture.width > (1.5 * picture.height * wide) / high;
      const under = pair ? ["image", "reconstruction"] : ["image"];
      this.show(map.colour(group[hit]), titles, picture, under, said ?? `${split} image ${whole(index[hit])}${mse}`);
    };
    this.pictured = -1;
    setTimeout(() => { if (this.pictured < 0) show(null, `${split} image ${whole(index[hit])} …`); }, 150);
    this.pictures.find(map.pictureUrl(hit), (picture) => show(picture), (error) => show(null, error.message));
  }

  /** What the colour of a group says, where it is not the label. */
  by(group) {
    const { by } = this.map.data, name = this.map.groupName(group);
    return by ? [name.startsWith(by) ? name : `${by}: ${name}`] : [];
  }

  /** When the pointer rests, the pictures of the points around it are read in one answer, so that they are there when it moves on. */
  ahead() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => {
      const { map } = this;
      if (!map.cursor || map.closed || map.hand.drag) return;
      const missing = map.around(...map.cursor).filter((i) => !this.pictures.kept.has(map.pictureUrl(i)));
      if (missing.length) this.pictures.ahead(map.sheetUrl(missing), missing.map((i) => map.pictureUrl(i)));
    }, 80);
  }

  async decode([px, py]) {
    const { map } = this, [x, y] = map.toCode(px, py), here = () => map.cursor && map.hover < 0;
    if (!here() || performance.now() < this.refused) return;
    const start = performance.now();
    try {
      const response = await answer(map.decodeUrl(x, y)), away = Number(response.headers.get("X-Away") ?? NaN);
      const picture = await createImageBitmap(await response.blob());
      (map.decodeTimes ??= []).push(performance.now() - start);
      const how = map.data.lifted ? `, ${map.data.lifted}` : "";
      if (here()) this.show(map.accent, ["The decoder draws"], picture, [""], `at (${short(x)}, ${short(y)})${how}`, away);
    } catch (error) {
      this.refused = performance.now() + 2000;
      if (here()) this.show(map.accent, [], null, [], error.message);
    }
  }

  /** The colour's dot stands before the last of the titles. */
  show(colour, titles, picture, under, more, away = NaN) {
    const made = (tag, textContent) => Object.assign(document.createElement(tag), { textContent });
    this.root.style.borderColor = colour;
    this.find(".title").replaceChildren(...titles.map((text) => made("span", text)));
    this.find(".title").style.setProperty("--dot", colour);
    this.find(".pictures").replaceChildren(...(picture ? this.figures(picture, under, made) : []));
    const known = Number.isFinite(away), meter = this.find(".away");
    meter.style.display = known ? "block" : "none";
    meter.style.setProperty("--near", known ? `${100 / Math.max(1, away)}%` : "0");
    this.find(".more").textContent = known ? `${distance(away)}\n${more}` : more;
    this.root.classList.add("shown");
    this.place();
  }

  /** What lies side by side in a picture, each above its word: beside each other, or below where that is too wide for the card. */
  figures(picture, words, made) {
    const high = picture.height, wide = picture.width / words.length, [tall, room] = this.map.h > 700 ? [150, 400] : [112, 272];
    const even = (scale) => Math.floor(scale) || scale, inRow = (scale) => words.length * (wide * scale + 8) <= room;
    const usual = tall < high ? tall / high : Math.round(tall / high), scale = inRow(usual) ? usual : Math.min(even(tall / high), even(room / wide));
    this.find(".pictures").classList.toggle("below", !inRow(scale));
    return words.map((word, at) => {
      const figure = made("figure"), canvas = Object.assign(made("canvas"), { width: wide, height: high });
      Object.assign(canvas.style, { width: `${wide * scale}px`, height: `${high * scale}px` });
      canvas.getContext("2d").drawImage(picture, -at * wide, 0);
      figure.append(canvas, made("figcaption", word));
      return figure;
    });
  }

  /** Beside the cursor, on the side where there is room. */
  place() {
    const { cursor, w, h } = this.map, [px, py] = cursor, { offsetWidth: wide, offsetHeight: high } = this.root, gap = 18;
    const x = px + gap + wide > LEFT + w ? px - gap - wide : px + gap, y = Math.min(Math.max(py - high / 2, 0), TOP + h - high);
    this.root.style.transform = `translate(${Math.max(0, x)}px, ${y}px)`;
  }
}
