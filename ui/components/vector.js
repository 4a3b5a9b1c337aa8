// A pen that draws SVG: as much of a canvas's pen as the chart of curves uses. And its two files, made in the browser.
const SVG = "http://www.w3.org/2000/svg", ANCHORS = { left: "start", center: "middle", right: "end" };

class Vector {
  constructor(width, height, ruler) {
    Object.assign(this, { ruler, path: "", dash: [], globalAlpha: 1, lineWidth: 1 });
    this.root = this.into = this.made("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
    this.made("rect", { width, height, fill: "#ffffff" });
  }

  made(name, attributes, text) {
    const one = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) if (value !== "") one.setAttribute(key, typeof value === "number" ? +value.toFixed(2) : value);
    if (text !== undefined) one.textContent = text;
    this.into?.append(one);
    return one;
  }

  beginPath() { this.path = ""; }
  moveTo(x, y) { this.path += `M${x.toFixed(1)} ${y.toFixed(1)}`; }
  lineTo(x, y) { this.path += `${this.path ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`; }
  rect(x, y, w, h) { this.path += `M${x} ${y}h${w}v${h}h${-w}z`; }
  arc(x, y, r) { this.path += `M${(x - r).toFixed(1)} ${y.toFixed(1)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`; } // whole circles only
  setLineDash(dash) { this.dash = dash; }
  stroke() { this.made("path", { d: this.path, fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth, "stroke-dasharray": this.dash.join(" "), "stroke-linejoin": "round", opacity: this.globalAlpha }); }
  fill() { this.made("path", { d: this.path, fill: this.fillStyle, opacity: this.globalAlpha }); }
  save() { this.outer = this.into; }
  restore() { this.into = this.outer; }

  clip() {
    const clip = this.made("clipPath", { id: "inside" });
    clip.append(this.made("path", { d: this.path }));
    this.into = this.made("g", { "clip-path": "url(#inside)" });
  }

  measureText(words) {
    this.ruler.font = this.font;
    return this.ruler.measureText(words);
  }

  fillText(words, x, y) {
    const [, size, family] = /([\d.]+)px (.*)/.exec(this.font);
    this.made("text", { x, y, "font-size": +size, "font-family": family, "text-anchor": ANCHORS[this.textAlign], "dominant-baseline": "central", fill: this.fillStyle, opacity: this.globalAlpha }, words);
  }

  // Saved under this name as 'svg', or as 'png' in three times the size.
  async file(name, kind) {
    let blob = new Blob([new XMLSerializer().serializeToString(this.root)], { type: "image/svg+xml" });
    if (kind === "png") {
      const { width, height } = this.root.viewBox.baseVal, image = new Image(), canvas = Object.assign(document.createElement("canvas"), { width: 3 * width, height: 3 * height });
      image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(await blob.text())}`;
      await image.decode();
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      blob = await new Promise((take) => canvas.toBlob(take));
    }
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${name}.${kind}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
}
