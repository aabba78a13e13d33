"use strict";
// Vectors are arrays of 3; matrices are Float32Arrays of 16, column by column as WebGL takes them.

const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
const scale = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
const sub = (a, b) => add(a, scale(b, -1));
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0],
];
const unit = (a) => scale(a, 1 / Math.max(Math.hypot(...a), 1e-12));

function multiply(a, b) {
  const out = new Float32Array(16);
  for (let column = 0; column < 4; column++)
    for (let row = 0; row < 4; row++)
      for (let k = 0; k < 4; k++) out[4 * column + row] += a[4 * k + row] * b[4 * column + k];
  return out;
}

// Camera axes as everywhere in rcvd: +X right, +Y down, +Z forward.
function viewFromWorld(eye, right, down, forward) {
  return new Float32Array([
    right[0], down[0], forward[0], 0, right[1], down[1], forward[1], 0,
    right[2], down[2], forward[2], 0, -dot(right, eye), -dot(down, eye), -dot(forward, eye), 1,
  ]);
}

function lookAt(eye, target, up) {
  const forward = unit(sub(target, eye));
  const right = unit(cross(forward, up));
  return viewFromWorld(eye, right, cross(forward, right), forward);
}

// Clip space from a camera whose focal lengths are in units of half the picture's width, height.
function perspective(fx, fy, near, far) {
  const a = (far + near) / (far - near), b = (-2 * far * near) / (far - near);
  return new Float32Array([fx, 0, 0, 0, 0, -fy, 0, 0, 0, 0, a, 1, 0, 0, b, 0]);
}

// world_from_cam as 4 rows -> its axes and centre.
function axes(pose) {
  const column = (k) => [pose[0][k], pose[1][k], pose[2][k]];
  return { right: column(0), down: column(1), forward: column(2), eye: column(3) };
}
