"use strict";
// Small SVG plots: curves by frame with a mark at the current one, histograms, a map of the path.

const SVG = "http://www.w3.org/2000/svg";
const BOX = { width: 400, height: 170, left: 46, right: 10, top: 8, bottom: 22 };
const COLOURS = ["#2f6fb7", "#d1495b", "#2e8b57", "#b97a00"];

function element(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

function figure(parent, title, note) {
  const made = document.createElement("figure"), caption = document.createElement("figcaption");
  const small = document.createElement("small");
  caption.textContent = title;
  small.textContent = note;
  caption.append(small);
  const svg = element("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}` });
  made.append(caption, svg);
  parent.append(made);
  return svg;
}

// Two to five round numbers between low and high.
function ticks(low, high) {
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const out = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + 1e-9 * step; v += step) out.push(v);
  return out.map((v) => [v, Math.abs(v) < step * 1e-6 ? "0" : String(+v.toPrecision(6))]);
}

function frameOf(svg, xs, ys) {
  const { width, height, left, right, top, bottom } = BOX;
  const x = (v) => left + ((v - xs[0]) / (xs[1] - xs[0])) * (width - left - right);
  const y = (v) => height - bottom - ((v - ys[0]) / (ys[1] - ys[0])) * (height - top - bottom);
  for (const [v, text] of ticks(...ys)) {
    svg.append(element("line", { x1: left, x2: width - right, y1: y(v), y2: y(v), stroke: "#e3e6eb" }));
    svg.append(element("text", { x: left - 5, y: y(v) + 4, "text-anchor": "end" }, text));
  }
  for (const [v, text] of ticks(...xs))
    svg.append(element("text", { x: x(v), y: height - 6, "text-anchor": "middle" }, text));
  return { x, y };
}

function span(values, floor = null) {
  const known = values.filter((v) => v !== null && Number.isFinite(v));
  let low = known.length ? Math.min(...known) : 0, high = known.length ? Math.max(...known) : 1;
  if (floor !== null) low = Math.min(low, floor);
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [floor === null || low < floor ? low - room : low, high + room];
}

// series: [{ name, values }] with a value (or null) a frame. Gives mark(frame); seek on a click.
function curves(parent, { title, note, series, floor = null }, seek) {
  const svg = figure(parent, title, note), n = series[0].values.length;
  svg.classList.add("by-frame");
  const xs = [0, Math.max(n - 1, 1)];
  const { x, y } = frameOf(svg, xs, span(series.flatMap((s) => s.values), floor));
  series.forEach(({ name, values }, m) => {
    let path = "", pen = "M";
    values.forEach((v, k) => {
      if (v === null) { pen = "M"; return; }
      path += `${pen}${x(k).toFixed(1)} ${y(v).toFixed(1)}`;
      pen = "L";
    });
    svg.append(element("path", { d: path, fill: "none", stroke: COLOURS[m], "stroke-width": 1.6 }));
    if (series.length > 1)
      svg.append(element("text", { x: BOX.left + 8 + 80 * m, y: 18, style: `fill:${COLOURS[m]}` }, name));
  });
  const line = element("line", { y1: BOX.top, y2: BOX.height - BOX.bottom, stroke: "#1d2129", "stroke-dasharray": "3 3" });
  svg.append(line);
  svg.addEventListener("click", (event) => {
    const at = (event.offsetX / svg.clientWidth) * BOX.width;
    const k = Math.round(((at - BOX.left) / (BOX.width - BOX.left - BOX.right)) * xs[1]);
    seek(Math.max(0, Math.min(n - 1, k)));
  });
  return (frame) => ["x1", "x2"].forEach((name) => line.setAttribute(name, x(frame)));
}

function histogram(parent, { title, note, counts, range }) {
  const svg = figure(parent, title, note), total = counts.reduce((a, b) => a + b, 0) || 1;
  const shares = counts.map((c) => (100 * c) / total), step = range / counts.length;
  const { x, y } = frameOf(svg, [0, range], [0, Math.max(...shares, 1) * 1.05]);
  shares.forEach((share, k) => {
    const last = k === shares.length - 1; // holds everything beyond the range as well
    svg.append(element("rect", {
      x: x(k * step), width: Math.max(x(step) - x(0) - 1, 0.5), y: y(share), height: y(0) - y(share),
      fill: last ? COLOURS[1] : COLOURS[0],
    }));
  });
}

// points: [[across, ahead]]; both axes have one scale. Gives mark(frame).
function map(parent, { title, note, points }, seek) {
  const svg = figure(parent, title, note);
  const wide = (BOX.width - BOX.left - BOX.right) / (BOX.height - BOX.top - BOX.bottom);
  const ends = [0, 1].map((a) => span(points.map((p) => p[a])));
  const size = Math.max((ends[0][1] - ends[0][0]) / wide, ends[1][1] - ends[1][0], 1e-6);
  const [xs, ys] = ends.map(([low, high], a) => {
    const half = (size * (a === 0 ? wide : 1)) / 2, middle = (low + high) / 2;
    return [middle - half, middle + half];
  });
  const { x, y } = frameOf(svg, xs, ys);
  const n = points.length;
  for (let k = 1; k < n; k++) {
    const share = k / n, colour = `rgb(${60 + 10 * share},${200 - 60 * share},${100 + 155 * share})`;
    svg.append(element("line", {
      x1: x(points[k - 1][0]), y1: y(points[k - 1][1]), x2: x(points[k][0]), y2: y(points[k][1]),
      stroke: colour, "stroke-width": 2.5, "stroke-linecap": "round",
    }));
  }
  const dot = element("circle", { r: 5, fill: "#ffd646", stroke: "#1d2129" });
  svg.append(dot);
  svg.classList.add("by-frame");
  svg.addEventListener("click", (event) => {
    const at = [event.offsetX, event.offsetY].map((v) => (v / svg.clientWidth) * BOX.width);
    const far = points.map((p) => Math.hypot(x(p[0]) - at[0], y(p[1]) - at[1]));
    seek(far.indexOf(Math.min(...far)));
  });
  return (frame) => {
    dot.setAttribute("cx", x(points[frame][0]));
    dot.setAttribute("cy", y(points[frame][1]));
  };
}
