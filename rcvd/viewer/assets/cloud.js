"use strict";
// Draws points, camera lines and the current picture in its frustum, by WebGL.

const POINT_VERTEX = `
attribute vec3 place; attribute vec4 look;
uniform mat4 clip; uniform float size; uniform float confidence; varying vec3 colour;
void main() {
  gl_Position = clip * vec4(place, 1.0);
  gl_PointSize = clamp(size / gl_Position.w, 1.0, 40.0);
  if (look.a < confidence) gl_Position = vec4(0.0, 0.0, 2.0, 1.0);
  colour = look.rgb;
}`;
const POINT_FRAGMENT = `
precision mediump float; varying vec3 colour;
void main() { gl_FragColor = vec4(colour, 1.0); }`;
const PICTURE_VERTEX = `
attribute vec3 place; attribute vec2 at; uniform mat4 clip; varying vec2 uv;
void main() { gl_Position = clip * vec4(place, 1.0); uv = at; }`;
const PICTURE_FRAGMENT = `
precision mediump float; varying vec2 uv; uniform sampler2D picture;
void main() { gl_FragColor = texture2D(picture, uv); }`;
const PATH = [242, 90, 70], FIRST = [60, 200, 100], LAST = [70, 140, 255], CURRENT = [255, 214, 70];

class Cloud {
  // points: Uint8Array of the packed cloud; data.points says how it is laid out.
  constructor(canvas, data, points) {
    const gl = canvas.getContext("webgl", { antialias: true, preserveDrawingBuffer: true });
    if (!gl) throw new Error("no WebGL");
    this.gl = gl; this.canvas = canvas; this.data = data;
    this.shading = this.program(POINT_VERTEX, POINT_FRAGMENT);
    this.painting = this.program(PICTURE_VERTEX, PICTURE_FRAGMENT);
    const { count, low, step } = data.points;
    this.places = this.buffer(points.subarray(0, 6 * count));
    this.looks = this.buffer(points.subarray(6 * count));
    this.unpack = new Float32Array([
      step[0] * 65535, 0, 0, 0, 0, step[1] * 65535, 0, 0, 0, 0, step[2] * 65535, 0, ...low, 1,
    ]);
    this.whole = new Float32Array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
    this.lines = this.lineBuffers(this.cameraLines());
    this.texture = gl.createTexture();
    this.pictureFrame = -1;
    gl.enable(gl.DEPTH_TEST);
    gl.clearColor(0.078, 0.086, 0.106, 1);
  }

  program(vertex, fragment) {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    return program;
  }

  buffer(values) {
    const gl = this.gl, made = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, made);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    return made;
  }

  // The four corners of frame k's picture, `depth` before its camera: top left, clockwise.
  corners(k, depth) {
    const { right, down, forward, eye } = axes(this.data.cameras.poses[k]);
    const [fx, fy, cx, cy] = this.data.cameras.intrinsics[k];
    const [h, w] = this.data.size;
    return [[0, 0], [w, 0], [w, h], [0, h]].map(([x, y]) => add(eye, scale(
      add(add(scale(right, (x - cx) / fx), scale(down, (y - cy) / fy)), forward), depth)));
  }

  frustumLines(k, depth, colour) {
    const eye = axes(this.data.cameras.poses[k]).eye, tips = this.corners(k, depth), out = [];
    tips.forEach((tip, n) => out.push([eye, tip, colour], [tip, tips[(n + 1) % 4], colour]));
    return out;
  }

  cameraLines() {
    const poses = this.data.cameras.poses, n = poses.length, out = [];
    for (let k = 1; k < n; k++) out.push([axes(poses[k - 1]).eye, axes(poses[k]).eye, PATH]);
    const shown = Math.min(n, 24);
    for (let m = 0; m < shown; m++) {
      const k = Math.round((m * (n - 1)) / Math.max(shown - 1, 1)), share = k / Math.max(n - 1, 1);
      const colour = FIRST.map((c, i) => Math.round(c + share * (LAST[i] - c)));
      out.push(...this.frustumLines(k, this.data.view.frustum, colour));
    }
    return out;
  }

  lineBuffers(lines) {
    const places = new Float32Array(lines.flatMap(([a, b]) => [...a, ...b]));
    const looks = new Uint8Array(lines.flatMap(([, , c]) => [...c, 255, ...c, 255]));
    return { places: this.buffer(places), looks: this.buffer(looks), count: 2 * lines.length };
  }

  attribute(program, name, buffer, size, type, normalised) {
    const gl = this.gl, at = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, type, normalised, 0, 0);
  }

  draw(orbit, frame, show) {
    const gl = this.gl, ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height)
      Object.assign(this.canvas, { width, height });
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const view = orbit.view(width, height);
    this.drawPoints(view, frame, show);
    if (show.cameras) this.drawCameras(view, frame, orbit.through !== null);
  }

  drawPoints(view, frame, show) {
    const gl = this.gl, p = this.shading, { still, frames, spacing } = this.data.points;
    gl.useProgram(p);
    gl.uniformMatrix4fv(gl.getUniformLocation(p, "clip"), false, multiply(view.clip, this.unpack));
    gl.uniform1f(gl.getUniformLocation(p, "size"), spacing * view.focal * show.size);
    gl.uniform1f(gl.getUniformLocation(p, "confidence"), show.confidence);
    this.attribute(p, "place", this.places, 3, gl.UNSIGNED_SHORT, true);
    this.attribute(p, "look", this.looks, 4, gl.UNSIGNED_BYTE, true);
    if (show.still) gl.drawArrays(gl.POINTS, 0, still);
    const [from, to] = show.trail ? [still, frames[frames.length - 1]] : [frames[frame], frames[frame + 1]];
    if (show.moving && to > from) gl.drawArrays(gl.POINTS, from, to - from);
  }

  drawCameras(view, frame, through) {
    const gl = this.gl, p = this.shading, depth = 2 * this.data.view.frustum;
    gl.uniformMatrix4fv(gl.getUniformLocation(p, "clip"), false, multiply(view.clip, this.whole));
    gl.uniform1f(gl.getUniformLocation(p, "confidence"), 0);
    const own = through ? [] : [this.lineBuffers(this.frustumLines(frame, depth, CURRENT))];
    for (const lines of [this.lines, ...own]) {
      this.attribute(p, "place", lines.places, 3, gl.FLOAT, false);
      this.attribute(p, "look", lines.looks, 4, gl.UNSIGNED_BYTE, true);
      gl.drawArrays(gl.LINES, 0, lines.count);
    }
    for (const lines of own) [lines.places, lines.looks].forEach((b) => gl.deleteBuffer(b));
    if (!through && this.pictureFrame >= 0) this.drawPicture(view, frame, depth);
  }

  // image: the strip of frame k; its first panel is the picture.
  setPicture(image, k) {
    const gl = this.gl;
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, image);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
      gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    this.pictureFrame = k;
  }

  drawPicture(view, frame, depth) {
    const gl = this.gl, p = this.painting, [a, b, c, d] = this.corners(frame, depth);
    const right = 1 / this.data.strip.captions.length - 0.001;
    const places = this.buffer(new Float32Array([...a, ...b, ...d, ...c]));
    const uv = this.buffer(new Float32Array([0, 0, right, 0, 0, 1, right, 1]));
    gl.useProgram(p);
    gl.uniformMatrix4fv(gl.getUniformLocation(p, "clip"), false, view.clip);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    this.attribute(p, "place", places, 3, gl.FLOAT, false);
    this.attribute(p, "at", uv, 2, gl.FLOAT, false);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    [places, uv].forEach((made) => gl.deleteBuffer(made));
  }
}
