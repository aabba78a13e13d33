"use strict";
// The verdict, the stages' table, settings and provenance. Text only: nothing is read as HTML.

function node(name, text = null, className = null) {
  const made = document.createElement(name);
  if (text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function showVerdict(section, verdict) {
  section.className = verdict.verdict;
  section.querySelector("h2").textContent = `${verdict.verdict.toUpperCase()}: ${verdict.summary}`;
  for (const finding of verdict.findings) {
    const item = node("li", finding.text, finding.level);
    item.append(node("small", finding.advice));
    section.querySelector("ul").append(item);
  }
}

function stageTable(stages) {
  const box = node("div"), table = node("table"), longest = Math.max(...stages.map((s) => s.seconds), 1e-9);
  const head = node("tr");
  for (const [text, kind] of [["stage"], ["seconds", "number"], [""], ["peak MB", "number"], ["device"]])
    head.append(node("th", text, kind || null));
  table.append(head);
  for (const stage of stages) {
    const row = node("tr"), bar = node("td"), mark = node("span", null, "bar");
    mark.style.width = `${Math.max(1, (120 * stage.seconds) / longest)}px`;
    bar.append(mark);
    row.append(node("td", stage.name), node("td", stage.seconds.toFixed(1), "number"), bar);
    row.append(node("td", String(stage.memory), "number"), node("td", stage.device));
    table.append(row);
  }
  const total = stages.reduce((sum, s) => sum + s.seconds, 0);
  box.append(node("h2", `Stages: ${total.toFixed(0)} s in all, this report aside`), table);
  return box;
}

function pairTable(title, pairs) {
  const box = node("div"), table = node("table");
  for (const [name, value] of pairs) {
    const row = node("tr");
    row.append(node("td", name), node("td", String(value)));
    table.append(row);
  }
  box.append(node("h2", title), table);
  return box;
}

function showFacts(section, data) {
  const settings = node("div");
  settings.append(node("h2", "Settings"), node("pre", data.settings));
  section.append(stageTable(data.stages), pairTable("Provenance", data.provenance));
  section.append(pairTable("Still surfaces over time", data.over_time));
  section.append(pairTable("Conventions", data.conventions), settings);
}
