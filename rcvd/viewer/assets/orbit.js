"use strict";
// The viewer's own camera: orbits a target, or stands in one of the scene's cameras.

class Orbit {
  constructor(canvas, start, changed) {
    this.canvas = canvas;
    this.start = start; // { eye, target, up, focal }: focal in units of the canvas's height
    this.changed = changed;
    this.through = null; // a camera { pose, fx, fy, aspect } to look through
    this.reset();
    this.listen();
  }

  reset() {
    const { eye, target, up } = this.start;
    const back = sub(eye, target);
    this.through = null;
    this.target = target;
    this.distance = Math.hypot(...back);
    this.up = unit(up);
    this.east = unit(cross(this.up, Math.abs(dot(unit(back), this.up)) < 0.99 ? back : [0, 0, 1]));
    this.south = cross(this.east, this.up);
    this.yaw = Math.atan2(dot(back, this.east), dot(back, this.south));
    this.pitch = Math.asin(Math.max(-1, Math.min(1, dot(back, this.up) / this.distance)));
    this.changed();
  }

  get eye() {
    const flat = add(scale(this.east, Math.sin(this.yaw)), scale(this.south, Math.cos(this.yaw)));
    const back = add(scale(flat, Math.cos(this.pitch)), scale(this.up, Math.sin(this.pitch)));
    return add(this.target, scale(back, this.distance));
  }

  // { clipFromWorld, pixelsPerUnit at depth 1 } for a drawing of so many pixels.
  view(width, height) {
    const near = this.start.size * 0.002, far = this.start.size * 200;
    if (this.through) {
      const { pose, fx, fy, aspect } = this.through;
      const { eye, right, down, forward } = axes(pose);
      const wide = Math.min(1, (aspect * height) / width); // the whole frame stays in view
      const x = fx * wide, y = fy * wide * (width / height / aspect);
      const seen = viewFromWorld(eye, right, down, forward);
      return { clip: multiply(perspective(x, y, near, far), seen), focal: (x * width) / 2 };
    }
    const y = 2 * this.start.focal, x = (y * height) / width;
    const seen = lookAt(this.eye, this.target, this.up);
    return { clip: multiply(perspective(x, y, near, far), seen), focal: (y * height) / 2 };
  }

  turn(dx, dy) {
    this.through = null;
    this.yaw -= dx * 0.006;
    this.pitch = Math.max(-1.55, Math.min(1.55, this.pitch + dy * 0.006));
    this.changed();
  }

  pan(dx, dy) {
    this.through = null;
    const forward = unit(sub(this.target, this.eye));
    const right = unit(cross(forward, this.up)), down = cross(forward, right);
    const step = this.distance / (this.start.focal * this.canvas.clientHeight);
    this.target = add(this.target, add(scale(right, -dx * step), scale(down, -dy * step)));
    this.changed();
  }

  zoom(factor) {
    this.through = null;
    this.distance = Math.max(this.start.size * 1e-3, this.distance * factor);
    this.changed();
  }

  listen() {
    const held = new Map(); // pointers on the canvas: id -> [x, y]
    const c = this.canvas;
    c.addEventListener("contextmenu", (event) => event.preventDefault());
    c.addEventListener("pointerdown", (event) => {
      c.setPointerCapture(event.pointerId);
      held.set(event.pointerId, [event.clientX, event.clientY]);
    });
    for (const name of ["pointerup", "pointercancel"])
      c.addEventListener(name, (event) => held.delete(event.pointerId));
    c.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId);
      if (!before) return;
      const now = [event.clientX, event.clientY];
      const dx = now[0] - before[0], dy = now[1] - before[1];
      if (held.size === 2) {
        const [other] = [...held].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
        const span = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]);
        this.zoom(span(before) / Math.max(span(now), 1));
        this.pan(dx / 2, dy / 2);
      } else if (event.buttons & 2 || event.buttons & 4 || event.shiftKey) this.pan(dx, dy);
      else this.turn(dx, dy);
      held.set(event.pointerId, now);
    });
    c.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(Math.sign(event.deltaY) * 0.12));
    }, { passive: false });
  }
}
