// What stands within a line: emphasis, code, links, as DOM nodes. Everything else is text. One pass, at most 16 levels.
import { el, visible } from "./dom.js";

const kDeepest = 16;
const kSpecial = /[\\`*_~[\]!<]|https?:\/\//g;
const kTarget = /\(<?([^\s<>()]{1,2000}(?:\([^\s<>()]{0,200}\)[^\s<>()]{0,200}){0,3})>?(?:\s+"[^"\n]{0,300}")?\)/y;
const kUrl = /https?:\/\/[^\s<>"'`\])}]{1,2000}/y;
const kPointed = /<(https?:\/\/[^\s<>]{1,2000})>/y;

/// The address if it is one that a link may have, else null: the web's, without a name and password in it.
export function webAddress(text) {
  try {
    const url = new URL(text);
    return (url.protocol === "http:" || url.protocol === "https:") && !url.username && !url.password ? url.href : null;
  } catch {
    return null;
  }
}

function link(address) {
  return el("a", { href: address, rel: "noopener noreferrer nofollow", target: "_blank", title: visible(address) });
}

function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/// Runs of backticks, by their length: where the next one of the same length begins.
function codeRuns(text) {
  const runs = new Map();
  for (const run of text.matchAll(/`+/g)) {
    if (!runs.has(run[0].length)) runs.set(run[0].length, { at: [], next: 0 });
    runs.get(run[0].length).at.push(run.index);
  }
  return (length, after) => {
    const run = runs.get(length);
    while (run.next < run.at.length && run.at[run.next] < after) ++run.next;
    return run.next < run.at.length ? run.at[run.next] : -1;
  };
}

class Writer {
  constructor(root) {
    this.frames = [{ mark: "", node: root }];
    this.text = "";
  }
  get top() {
    return this.frames[this.frames.length - 1];
  }
  flush() {
    if (this.text) this.top.node.append(visible(this.text));
    this.text = "";
  }
  add(node) {
    this.flush();
    this.top.node.append(node);
  }
  open(mark, node) {
    if (this.frames.length > kDeepest) return void (this.text += mark);
    this.flush();
    this.frames.push({ mark, node });
  }
  /// What was opened last, and never closed, is text.
  unwrap() {
    this.flush();
    const { mark, node } = this.frames.pop();
    this.top.node.append(mark, ...node.childNodes);
  }
  find(...marks) {
    for (let i = this.frames.length - 1; i > 0; --i) if (marks.includes(this.frames[i].mark)) return i;
    return -1;
  }
  /// Closes frame `index`, as `node` if it is given.
  close(index, node = null) {
    while (this.frames.length - 1 > index) this.unwrap();
    this.flush();
    const frame = this.frames.pop();
    if (node) node.append(...frame.node.childNodes);
    this.top.node.append(node ?? frame.node);
  }
}

const space = (c) => c === undefined || /\s/.test(c);
const wordly = (c) => c !== undefined && /[\p{L}\p{N}]/u.test(c);

function emphasis(writer, text, at, run) {
  const before = text[at - 1], after = text[at + run.length];
  // snake_case and 2*3*4 are no emphasis.
  const within = (run[0] === "_" && wordly(before) && wordly(after)) || (/^\d$/.test(before) && /^\d$/.test(after));
  const size = run[0] === "~" ? 2 : Math.min(run.length, 3);
  if (within || run.length !== size) return void (writer.text += run);
  const index = space(before) ? -1 : writer.find(run);
  if (index > 0) return writer.close(index);
  if (space(after)) return void (writer.text += run);
  const node = el(run[0] === "~" ? "del" : size === 1 ? "em" : "strong", size === 3 ? { class: "em" } : {});
  writer.open(run, node);
}

/// Closes a link's text at `at`, where `]` is; returns where the text goes on.
function bracket(writer, text, at) {
  const index = writer.find("[", "![");
  const target = index > 0 && text[at + 1] === "(" ? match(kTarget, text, at + 1) : null;
  const address = target && webAddress(target[1]);
  if (address) {
    const image = writer.frames[index].mark === "![";
    const node = link(address);
    if (image) node.append("image: ");
    writer.close(index, node);
    if (node.textContent.trim() === "" || (image && node.textContent === "image: ")) node.append(visible(address));
    return at + 1 + target[0].length;
  }
  if (index > 0) {
    while (writer.frames.length > index) writer.unwrap();
  }
  writer.text += "]";
  return at + 1;
}

function bareLink(writer, text, at) {
  const url = (match(kUrl, text, at)?.[0] ?? "").replace(/[.,;:!?*_~]{1,20}$/, "");
  const address = url && writer.find("[", "![") < 0 && !wordly(text[at - 1]) ? webAddress(url) : null;
  if (!address) {
    writer.text += "http";
    return at + 4;
  }
  const node = link(address);
  node.append(visible(url));
  writer.add(node);
  return at + url.length;
}

/// Appends `text` to `root`.
export function appendInline(root, text) {
  const writer = new Writer(root);
  const closing = codeRuns(text);
  let at = 0;
  for (;;) {
    const found = match(kSpecial, text, at);
    writer.text += text.slice(at, found ? found.index : text.length);
    if (!found) break;
    at = found.index;
    const c = text[at];
    if (c === "\\") {
      const escaped = at + 1 < text.length && /[!-/:-@[-`{-~]/.test(text[at + 1]);
      writer.text += escaped ? text[at + 1] : c;
      at += escaped ? 2 : 1;
    } else if (c === "`") {
      const run = match(/`+/y, text, at)[0], end = closing(run.length, at + run.length);
      if (end < 0) writer.text += run;
      else writer.add(el("code", {}, visible(text.slice(at + run.length, end).trim())));
      at = end < 0 ? at + run.length : end + run.length;
    } else if (c === "*" || c === "_" || c === "~") {
      const run = match(/\*+|_+|~+/y, text, at)[0];
      emphasis(writer, text, at, run);
      at += run.length;
    } else if (c === "[" || (c === "!" && text[at + 1] === "[")) {
      const mark = c === "[" ? "[" : "![";
      writer.open(mark, document.createElement("span"));
      at += mark.length;
    } else if (c === "]") {
      at = bracket(writer, text, at);
    } else if (c === "h") {
      at = bareLink(writer, text, at);
    } else {
      const pointed = c === "<" ? match(kPointed, text, at) : null, address = pointed && webAddress(pointed[1]);
      if (address) {
        const node = link(address);
        node.append(visible(pointed[1]));
        writer.add(node);
      } else {
        writer.text += c;
      }
      at += address ? pointed[0].length : 1;
    }
  }
  while (writer.frames.length > 1) writer.unwrap();
  writer.flush();
}
