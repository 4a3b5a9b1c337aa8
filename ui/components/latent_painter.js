// Points on the screen.

/** Points as discs by WebGL2: buffers x, y and colour per point, depth in three dimensions, and the order of drawing. */
class GLPainter {
  static VERTEX = `#version 300 es
    in float x; in float y; in float depth; in vec4 colour; uniform vec2 centre, scale; uniform float size; out vec4 fill; out float side;
    void main() {
      gl_Position = vec4((vec2(x, y) - centre) * scale, 0.0, 1.0);
      side = size * (1.0 + 0.4 * depth);
      gl_PointSize = side + 1.0;
      fill = vec4(colour.rgb, colour.a * (1.0 + 0.45 * min(depth, 0.0)));
    }`;
  static FRAGMENT = `#version 300 es
    precision highp float; in vec4 fill; in float side; out vec4 result;
    void main() {
      float away = length(gl_PointCoord - 0.5) * (side + 1.0), edge = side * 0.5;
      float rim = side > 9.0 ? 0.72 + 0.28 * smoothstep(edge, edge - 1.6, away) : 1.0;
      float alpha = fill.a * clamp(edge - away + 0.5, 0.0, 1.0);
      result = vec4(fill.rgb * rim * alpha, alpha);
    }`;

  static EMULATED = /swiftshader|llvmpipe|softpipe|software|basic render/i;

  static drawnBy(gl) { return String(gl.getParameter(gl.getExtension("WEBGL_debug_renderer_info")?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER)); }

  constructor(canvas) {
    const gl = this.gl = canvas.getContext("webgl2", { antialias: false, alpha: true });
    if (!gl || GLPainter.EMULATED.test(GLPainter.drawnBy(gl))) throw new Error("no WebGL2 by a graphics card");
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
  places(x, y, depth) {
    const { gl } = this;
    this.fill("x", x, 1, gl.FLOAT, false);
    this.fill("y", y, 1, gl.FLOAT, false);
    if (depth) { this.fill("depth", depth, 1, gl.FLOAT, false); return; }
    const slot = gl.getAttribLocation(this.program, "depth");
    gl.disableVertexAttribArray(slot);
    gl.vertexAttrib1f(slot, 0);
  }
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

/** The same discs by the processor. Where there is no graphics card a browser emulates one, and needs many times as long. */
class CanvasPainter {
  static FINE = 4;  // a disc's middle is placed to a quarter of a pixel
  slow = true;

  constructor(canvas) { this.pen = canvas.getContext("2d"); this.stamps = new Map(); }
  places(x, y, depth) { Object.assign(this, { x, y, depth }); }
  looks(colours, order) { Object.assign(this, { colours: new Uint32Array(colours.buffer), order }); }

  /** `most`: of so many points the last ones in the order alone, which lie on top and are a sample of the others. */
  draw(view, w, h, size, ratio, most) {
    const { pen, x, y, depth, order } = this, { width, height } = pen.canvas, { FINE } = CanvasPainter, sx = view.sx * ratio, sy = view.sy * ratio;
    if (this.light?.length !== width * height) this.light = new Uint32Array(width * height); else this.light.fill(0);
    Object.assign(this, { width, height });
    let stamp = this.stamp(size * ratio);
    for (let k = Math.max(0, order.length - most); k < order.length; k++) {
      const i = order[k], far = depth ? depth[i] : 0;
      if (depth) stamp = this.stamp(Math.round(8 * size * ratio * (1 + 0.4 * far)) / 8);
      const px = Math.round(FINE * (width / 2 + (x[i] - view.x) * sx)), py = Math.round(FINE * (height / 2 - (y[i] - view.y) * sy));
      const left = Math.floor(px / FINE) - stamp.half, top = Math.floor(py / FINE) - stamp.half;
      if (left < -stamp.side || top < -stamp.side || left >= width || top >= height) continue;
      this.lay(i, stamp, left, top, stamp.masks[(py & (FINE - 1)) * FINE + (px & (FINE - 1))], far < 0 ? 1 + 0.45 * far : 1);
    }
    pen.putImageData(this.picture(), 0, 0);
  }

  /** One disc over what is there, in whole numbers: of each pixel two channels at a time. */
  lay(i, { side }, left, top, mask, dim) {
    const { light, width, height } = this, colour = this.colours[i], redBlue = colour & 0xff00ff, green = (colour >>> 8) & 255;
    const opacity = Math.round((colour >>> 24) * dim * (256 / 255)), first = Math.max(0, -left), last = Math.min(side, width - left), end = Math.min(side, height - top);
    for (let row = Math.max(0, -top); row < end; row++) {
      for (let column = first; column < last; column++) {
        const shape = mask[row * side + column];  // cover + 512 * rim, each of 256
        if (!shape) continue;
        const at = (top + row) * width + left + column, alpha = (opacity * (shape & 511)) >> 8, lit = (alpha * (shape >> 9)) >> 8, under = light[at], rest = 256 - alpha;
        const a = (Math.imul(redBlue, lit) >>> 8) & 0xff00ff, b = ((green * lit) >> 8) | ((alpha - (alpha >> 8)) << 16);
        const c = (Math.imul(under & 0xff00ff, rest) >>> 8) & 0xff00ff, d = (Math.imul((under >>> 8) & 0xff00ff, rest) >>> 8) & 0xff00ff;
        light[at] = (a + c) | ((b + d) << 8);
      }
    }
  }

  /** What discs of this diameter cover of the pixels around them and how bright they are there, for each place of their middle. */
  stamp(diameter) {
    const known = this.stamps.get(diameter);
    if (known) return known;
    const { FINE } = CanvasPainter, edge = diameter / 2, half = Math.ceil(edge + 0.5), side = 2 * half + 1;
    const masks = Array.from({ length: FINE * FINE }, (_, place) => {
      const px = half + (place % FINE) / FINE, py = half + Math.floor(place / FINE) / FINE;
      return Uint32Array.from({ length: side * side }, (_, at) => {
        const away = Math.hypot((at % side) + 0.5 - px, Math.floor(at / side) + 0.5 - py), cover = Math.max(0, Math.min(1, edge - away + 0.5));
        const step = Math.max(0, Math.min(1, (edge - away) / 1.6)), rim = diameter > 9 ? 0.72 + 0.28 * step * step * (3 - 2 * step) : 1;
        return cover && Math.round(256 * cover) + 512 * Math.round(256 * rim);
      });
    });
    const made = { half, side, masks };
    if (this.stamps.size > 500) this.stamps.clear();
    this.stamps.set(diameter, made);
    return made;
  }

  /** What was laid, as a canvas takes it: colours that are not yet dimmed by their opacity. */
  picture() {
    const { light, width, height } = this;
    if (this.image?.width !== width || this.image?.height !== height) this.image = new ImageData(width, height);
    const { data } = this.image, out = new Uint32Array(data.buffer);
    for (let at = 0; at < light.length; at++) {
      const pixel = light[at], alpha = pixel >>> 24;
      if (!alpha) { out[at] = 0; continue; }
      const up = 255 / alpha;
      for (let part = 0; part < 3; part++) data[4 * at + part] = ((pixel >>> (8 * part)) & 255) * up;
      data[4 * at + 3] = alpha;
    }
    return this.image;
  }
}
