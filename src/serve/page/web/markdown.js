// An answer as it grows. Blocks that can no longer change are drawn once; the last is drawn again as text comes.
import { button, copy, el, visible } from "./dom.js";
import { blocksOf } from "./markdown_blocks.js";
import { appendInline } from "./markdown_inline.js";

const kFormatted = 200_000; // characters of an answer that are formatted; what follows is shown as it is

function codeBlock(block) {
  const label = block.language ? visible(block.language) : "";
  const done = button("Copy", async () => {
    await copy(block.text);
    done.textContent = "Copied";
    setTimeout(() => (done.textContent = "Copy"), 1500);
  }, { class: "quiet" });
  return el("div", { class: "code" },
    el("div", { class: "code-head" }, el("span", {}, label || "text"), done),
    el("pre", { tabindex: 0, role: "group", "aria-label": `Code${label && ", " + label}` },
      el("code", { dir: "ltr" }, visible(block.text))));
}

function inlineElement(name, text, options = {}) {
  const node = el(name, { dir: "auto", ...options });
  appendInline(node, text);
  return node;
}

function tableElement(block) {
  const row = (name, texts) => el("tr", {}, ...block.align.map((align, i) =>
    inlineElement(name, texts[i] ?? "", { class: align, scope: name === "th" ? "col" : null })));
  const table = el("table", {}, el("thead", {}, row("th", block.head)), el("tbody", {}, ...block.rows.map((r) => row("td", r))));
  return el("div", { class: "table", tabindex: 0, role: "group", "aria-label": "Table" }, table);
}

function listElement(block, levels) {
  const items = block.items.map((blocks) => {
    const item = el("li", { dir: "auto" });
    for (const inner of blocks) {
      if (inner.type === "paragraph" && blocks.length <= 2) appendInline(item.appendChild(el("span", { class: "line" })), inner.text);
      else item.append(blockElement(inner, levels));
    }
    return item;
  });
  return el(block.ordered ? "ol" : "ul", { start: block.ordered && block.start !== 1 ? block.start : null }, ...items);
}

/// `levels.last`: of headings, so that none is skipped for those who hear the page.
function blockElement(block, levels) {
  switch (block.type) {
    case "code": return codeBlock(block);
    case "rule": return el("hr");
    case "table": return tableElement(block);
    case "list": return listElement(block, levels);
    case "quote": return el("blockquote", {}, ...block.blocks.map((inner) => blockElement(inner, levels)));
    case "heading":
      levels.last = Math.min(block.level + 2, levels.last + 1, 6);
      return inlineElement(`h${levels.last}`, block.text);
    default: return inlineElement("p", block.text);
  }
}

export class MarkdownView {
  /// `around`: calls what it is given, which draws.
  constructor(element, around = (draw) => draw()) {
    this.element = element;
    this.around = around;
    this.text = "";
    this.frozen = 0; // characters whose blocks are drawn for good
    this.levels = { last: 2 };
    this.open = []; // nodes that are drawn again
    this.timer = null;
    this.cost = 0;
  }

  append(text) {
    this.text += text;
    // Drawing takes a fifth of the time at most, however long the block is that is drawn again.
    this.timer ??= setTimeout(() => this.around(() => this.draw()), Math.max(30, 4 * this.cost));
  }

  finish() {
    clearTimeout(this.timer);
    this.draw();
  }

  draw() {
    this.timer = null;
    const begin = performance.now();
    for (const node of this.open) node.remove();
    const lines = this.text.slice(this.frozen, Math.max(kFormatted, this.frozen)).split("\n");
    const blocks = blocksOf(lines);
    // The last block may go on; if its first line may, the one before it, too.
    const last = blocks[blocks.length - 1];
    const open = Math.max(0, blocks.length - (last && last.begin + 1 === lines.length ? 2 : 1));
    for (const block of blocks.slice(0, open)) this.element.append(blockElement(block, this.levels));
    const levels = { ...this.levels };
    this.open = blocks.slice(open).map((block) => blockElement(block, levels));
    if (this.text.length > kFormatted) this.open.push(this.rest());
    this.element.append(...this.open);
    if (open < blocks.length) this.frozen += lines.slice(0, blocks[open].begin).reduce((sum, line) => sum + line.length + 1, 0);
    this.cost = performance.now() - begin;
  }

  rest() {
    return el("pre", { class: "rest", tabindex: 0, role: "group", "aria-label": "The rest, without format" },
      visible(this.text.slice(Math.max(kFormatted, this.frozen))));
  }
}
