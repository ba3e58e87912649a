// The tree of a conversation, a row a turn; what is shown on the left is marked.
import { el, find, svg, visible } from "./dom.js";

const kRow = 30, kLane = 16;

const x = (lane) => kLane / 2 + lane * kLane;
const y = (row) => kRow / 2 + row * kRow;

function line(from, to) {
  const [a, b, c, d] = [x(from[0]), y(from[1]), x(to[0]), y(to[1])];
  // Down in the child's lane, after a bend out of the parent's.
  const path = a === c ? `M${a} ${b}V${d}` : `M${a} ${b}C${a} ${b + kRow / 2} ${c} ${b + kRow / 4} ${c} ${b + kRow}V${d}`;
  return svg("path", { d: path });
}

export function drawTree(tree, choose) {
  const list = find("tree"), focused = list.contains(document.activeElement);
  const rows = tree ? tree.rows() : [], shown = new Set(tree ? tree.path() : []);
  find("tree-section").hidden = rows.length === 0;
  const places = new Map(rows.map(([turn, lane], row) => [turn, [lane, row]]));
  const lanes = Math.min(12, 1 + Math.max(0, ...rows.map(([, lane]) => lane)));
  const picture = svg("svg", { width: lanes * kLane, height: rows.length * kRow, "aria-hidden": "true" });
  for (const [turn] of rows) if (turn.parent) picture.append(line(places.get(turn.parent), places.get(turn)));
  for (const [turn, lane] of rows) {
    picture.append(svg("circle", { cx: x(lane), cy: y(places.get(turn)[1]), r: turn === tree.leaf ? 5 : 4, class: shown.has(turn) ? "shown" : "" }));
  }
  // Answers to one question look alike but for their number.
  const numbered = (turn) => {
    const among = tree.answers(turn);
    return among.length > 1 ? `${among.indexOf(turn) + 1}/${among.length}` : null;
  };
  const items = rows.map(([turn]) => el("li", {},
    el("button", { type: "button", dir: "auto", "data-answer": numbered(turn), "aria-current": turn === tree.leaf ? "true" : null, class: shown.has(turn) ? "shown" : "",
      onclick: () => choose(turn) }, visible(turn.question.slice(0, 80)) || "(nothing)")));
  find("tree-lines").replaceChildren(picture);
  list.replaceChildren(...items);
  if (focused) list.querySelector("[aria-current]")?.focus();
}
