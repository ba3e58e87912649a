// What the memory is learning: the loss of each chunk before it was learnt from.
import { bytes, find, number, svg } from "./dom.js";

const kWidth = 280, kHeight = 120, kLeft = 30, kBottom = 16, kTop = 6;
const kPoints = 280;

/// At most kPoints means of neighbours: a long read is as quick to draw as a short one.
function thin(steps) {
  const size = Math.ceil(steps.length / kPoints);
  const out = [];
  for (let i = 0; i < steps.length; i += size) {
    const part = steps.slice(i, i + size);
    out.push([part[part.length - 1].step, part.reduce((sum, step) => sum + step.loss, 0) / part.length]);
  }
  return out;
}

function scale(points) {
  const losses = points.map(([, loss]) => loss);
  let low = Math.min(...losses), high = Math.max(...losses);
  const margin = Math.max((high - low) * 0.1, 0.05);
  low = Math.max(0, low - margin);
  high += margin;
  const first = points[0][0], last = Math.max(points[points.length - 1][0], first + 1);
  return {
    low, high, first, last,
    x: (step) => kLeft + ((step - first) / (last - first)) * (kWidth - kLeft - 6),
    y: (loss) => kTop + ((high - loss) / (high - low)) * (kHeight - kTop - kBottom),
  };
}

function label(x, y, text, anchor) {
  const node = svg("text", { x, y, "text-anchor": anchor });
  node.textContent = text;
  return node;
}

function draw(steps) {
  const chart = find("chart"), points = thin(steps), at = scale(points);
  const middle = (at.low + at.high) / 2;
  chart.replaceChildren();
  for (const loss of [at.high, middle, at.low]) {
    chart.append(svg("line", { x1: kLeft, x2: kWidth, y1: at.y(loss), y2: at.y(loss), class: "grid" }),
      label(kLeft - 5, at.y(loss) + 3, loss.toFixed(at.high - at.low < 1 ? 2 : 1), "end"));
  }
  chart.append(label(kLeft, kHeight - 2, `step ${at.first + 1}`, "start"), label(kWidth - 2, kHeight - 2, number(at.last + 1), "end"));
  const path = points.map(([step, loss], i) => `${i ? "L" : "M"}${at.x(step).toFixed(1)} ${at.y(loss).toFixed(1)}`).join("");
  const [step, loss] = points[points.length - 1];
  chart.append(svg("path", { d: path, class: "loss" }), svg("circle", { cx: at.x(step), cy: at.y(loss), r: 3, class: "loss-end" }));
  chart.setAttribute("aria-label", `Inner loss, from ${points[0][1].toFixed(2)} to ${loss.toFixed(2)} nats a token in ${number(steps.length)} steps`);
}

let waiting = null;

/// `steps`: [{step, loss}]; `about`: {memory_bytes, position} or null. Drawn at most ten times a second.
export function showLearning(steps, about) {
  const show = () => {
    waiting = null;
    const known = steps.filter((step) => Number.isFinite(step.loss));
    find("chart").classList.toggle("empty", known.length === 0);
    find("chart-empty").hidden = known.length > 0;
    if (known.length) draw(known);
    else find("chart").replaceChildren(), find("chart").setAttribute("aria-label", "Inner loss: no step yet");
    const last = known[known.length - 1];
    find("fact-loss").textContent = last ? `${last.loss.toFixed(3)} nats a token` : "none yet";
    find("fact-steps").textContent = last ? number(last.step + 1) : "none yet";
    find("fact-size").textContent = about?.memory_bytes ? bytes(about.memory_bytes) : "none yet";
    find("fact-position").textContent = about?.position ? `${number(about.position)} tokens` : "none yet";
  };
  clearTimeout(waiting);
  waiting = setTimeout(show, waiting ? 100 : 0);
}
