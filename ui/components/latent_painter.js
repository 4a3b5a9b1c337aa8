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

  constructor(canvas) {
    const gl = this.gl = canvas.getContext("webgl2", { antialias: false, alpha: true });
    if (!gl) throw new Error("no WebGL2");
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

/** The same by a plain 2-D canvas, where there is no WebGL2: squares, slower, said in the corner. */
class CanvasPainter {
  constructor(canvas) { this.pen = canvas.getContext("2d"); this.plain = true; }
  places(x, y) { this.x = x; this.y = y; }
  looks(colours, order) { this.colours = colours; this.order = order; }
  draw(view, w, h, size, ratio) {
    const { pen, colours: c } = this;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, w, h);
    for (const i of this.order) {
      pen.fillStyle = `rgba(${c[4 * i]},${c[4 * i + 1]},${c[4 * i + 2]},${c[4 * i + 3] / 255})`;
      pen.fillRect(w / 2 + (this.x[i] - view.x) * view.sx - size / 2, h / 2 - (this.y[i] - view.y) * view.sy - size / 2, size, size);
    }
  }
}
