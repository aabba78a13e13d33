"use strict";
// Ties the parts together: one current frame, shown everywhere.

const get = (id) => document.getElementById(id);
const data = JSON.parse(get("data").textContent);
const marks = []; // functions that show the current frame in a plot
const pictures = new Map(); // decoded strips by their number
const show = { still: true, moving: true, trail: false, cameras: true, confidence: 0, size: 1 };
let frame = 0, playing = null, cloud = null, orbit = null, pending = false;

function redraw() {
  if (pending || !cloud) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    cloud.draw(orbit, frame, show);
  });
}

// The strip nearest to a frame: long clips have one for every few frames.
function stripOf(k) {
  const at = data.strip.frames;
  let best = 0;
  at.forEach((f, n) => { if (Math.abs(f - k) < Math.abs(at[best] - k)) best = n; });
  return best;
}

function picture(number) {
  if (!pictures.has(number)) {
    const image = new Image();
    image.src = "data:image/webp;base64," + data.strip.pictures[number];
    pictures.set(number, image.decode().then(() => image));
  }
  return pictures.get(number);
}

async function showStrip() {
  const number = stripOf(frame), image = await picture(number);
  if (number !== stripOf(frame)) return; // another frame was asked for meanwhile
  const canvas = get("panels");
  Object.assign(canvas, { width: image.naturalWidth, height: image.naturalHeight });
  canvas.getContext("2d").drawImage(image, 0, 0);
  if (cloud) cloud.setPicture(image, frame);
  redraw();
  if (number + 1 < data.strip.frames.length) picture(number + 1);
}

function camera(k) {
  const [h, w] = data.size, [fx, fy] = data.cameras.intrinsics[k];
  return { pose: data.cameras.poses[k], fx: (2 * fx) / w, fy: (2 * fy) / h, aspect: w / h };
}

function seek(k) {
  frame = k;
  get("frame").value = k;
  get("frame-text").textContent = `frame ${k} · ${data.times[k].toFixed(2)} s`;
  for (const mark of marks) mark(k);
  if (orbit && orbit.through) orbit.through = camera(k);
  redraw();
  return showStrip();
}

function play() {
  const stop = playing !== null;
  get("play").textContent = stop ? "Play" : "Pause";
  if (stop) {
    cancelAnimationFrame(playing);
    playing = null;
    return;
  }
  let start = performance.now() - 1000 * (data.times[frame] - data.times[0]);
  const last = data.times.length - 1;
  const step = (now) => {
    const time = data.times[0] + (now - start) / 1000;
    let k = data.times.findIndex((t) => t > time) - 1;
    if (k === -2) { k = last; }
    if (time > data.times[last] + 0.5) { start = now; k = 0; }
    if (k >= 0 && k !== frame) seek(k);
    playing = requestAnimationFrame(step);
  };
  playing = requestAnimationFrame(step);
}

function setUpScene() {
  const text = atob(get("points").textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  try {
    cloud = new Cloud(get("scene"), data, bytes);
  } catch (error) {
    console.warn(error);
    get("scene").hidden = true;
    get("no-webgl").hidden = false;
    return;
  }
  orbit = new Orbit(get("scene"), data.view, redraw);
  new ResizeObserver(redraw).observe(get("scene"));
}

function setUpTools() {
  const tick = { "show-static": "still", "show-moving": "moving", "show-trail": "trail", "show-cameras": "cameras" };
  for (const [id, name] of Object.entries(tick))
    get(id).addEventListener("change", (event) => { show[name] = event.target.checked; redraw(); });
  for (const [id, name] of [["confidence", "confidence"], ["point-size", "size"]])
    get(id).addEventListener("input", (event) => { show[name] = Number(event.target.value); redraw(); });
  get("reset").addEventListener("click", () => orbit && orbit.reset());
  get("through").addEventListener("click", () => { if (orbit) { orbit.through = camera(frame); redraw(); } });
  get("play").addEventListener("click", play);
  get("frame").max = data.times.length - 1;
  get("frame").addEventListener("input", (event) => seek(Number(event.target.value)));
  document.addEventListener("keydown", (event) => {
    if (event.target.tagName === "INPUT" || event.target.tagName === "BUTTON") return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) seek(Math.max(0, Math.min(data.times.length - 1, frame + step)));
    else if (event.key === " ") { event.preventDefault(); play(); }
  });
}

get("title").textContent = data.title;
get("subtitle").textContent = data.subtitle;
showVerdict(get("verdict"), data.verdict);
for (const text of data.strip.captions) get("captions").append(node("span", text));
setUpScene();
setUpTools();
marks.push(map(get("plots"), data.map, seek));
for (const curve of data.curves) marks.push(curves(get("plots"), curve, seek));
for (const counted of data.histograms) histogram(get("plots"), counted);
showFacts(get("facts"), data);
seek(0).then(() => { document.body.dataset.ready = Math.round(performance.now()); });
