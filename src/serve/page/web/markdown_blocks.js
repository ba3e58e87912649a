// Markdown's blocks out of lines: what a line begins is said by that line alone (a table: by the next, too), so that a
// text that still grows changes in its last block only. Time grows with the text's length, whatever it says.

const kDeepest = 8; // lists and quotes within each other; deeper ones are text
const kColumns = 32;

const blank = (line) => line.trim() === "";
const kItem = /^( {0,3})([-*+]|\d{1,9}[.)])(?: {1,4}(?=\S)|(?= *$))/;

function fence(line) {
  const found = /^ {0,3}(`{3,}|~{3,})/.exec(line);
  if (!found) return null;
  const info = line.slice(found[0].length).trim();
  return found[1][0] === "`" && info.includes("`") ? null : { mark: found[1], info };
}

function closes(line, mark) {
  const text = line.trim();
  return text.length >= mark.length && text[0] === mark[0] && text === mark[0].repeat(text.length);
}

const isRule = (line) => line.length < 100 && /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/.test(line);
const isHeading = (line) => /^ {0,3}#{1,6}(?:[ \t]|$)/.test(line);
const isQuote = (line) => /^ {0,3}>/.test(line);

function cells(line) {
  const text = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return text.split(/(?<!\\)\|/, kColumns).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function isTable(line, next) {
  if (next === undefined || !line.includes("|") || !next.includes("-") || !/^[ \t|:-]+$/.test(next)) return false;
  return cells(line).length === cells(next).length && cells(next).every((cell) => /^:?-+:?$/.test(cell));
}

const begins = (line) => fence(line) || isHeading(line) || isRule(line) || isQuote(line) || kItem.test(line);

function readCode(lines, at, open) {
  let end = at + 1;
  while (end < lines.length && !closes(lines[end], open.mark)) ++end;
  const text = lines.slice(at + 1, end).join("\n");
  return { type: "code", language: open.info.split(/\s/, 1)[0].slice(0, 40), text, end: Math.min(end + 1, lines.length) };
}

function readQuote(lines, at, depth) {
  let end = at;
  while (end < lines.length && isQuote(lines[end])) ++end;
  const inner = lines.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, ""));
  return { type: "quote", blocks: blocksOf(inner, depth + 1), end };
}

const indent = (line) => line.length - line.trimStart().length;

/// Items of one list: lines that are indented, and those that follow without a blank line, belong to the item above.
function readList(lines, at, depth) {
  const first = kItem.exec(lines[at]);
  const ordered = /\d/.test(first[2]);
  const items = [];
  let item = null, after_blank = false, end = at, i = at;
  for (; i < lines.length; ++i) {
    const line = lines[i], found = kItem.exec(line);
    if (blank(line)) {
      item.lines.push("");
      after_blank = true;
      continue;
    }
    if (found && indent(line) < (item ? Math.max(item.width, 2) : 4) && (!item || indent(line) <= item.indent + 1)) {
      if (/\d/.test(found[2]) !== ordered || isRule(line)) break;
      item = { indent: indent(line), width: found[0].length, lines: [line.slice(found[0].length)] };
      items.push(item);
    } else if (indent(line) >= 2 || !(after_blank || begins(line))) {
      item.lines.push(line.slice(Math.min(indent(line), Math.max(item.width, 2))));
    } else {
      break;
    }
    after_blank = false;
    end = i + 1;
  }
  return {
    type: "list", ordered, start: ordered ? parseInt(first[2], 10) : 1, end: after_blank && i === lines.length ? i : end,
    items: items.map((each) => blocksOf(each.lines, depth + 1)),
  };
}

function readTable(lines, at) {
  let end = at + 2;
  while (end < lines.length && !blank(lines[end]) && lines[end].includes("|")) ++end;
  const align = cells(lines[at + 1]).map((cell) => {
    const right = cell.endsWith(":");
    return right ? (cell.startsWith(":") ? "middle" : "right") : "left";
  });
  return { type: "table", align, head: cells(lines[at]), rows: lines.slice(at + 2, end).map(cells), end };
}

function readHeading(line, at) {
  const level = line.trimStart().match(/^#+/)[0].length;
  let text = line.trimStart().slice(level).trim();
  let end = text.length;
  while (end > 0 && text[end - 1] === "#") --end;
  if (end === 0 || /\s/.test(text[end - 1])) text = text.slice(0, end).trim();
  return { type: "heading", level, text, end: at + 1 };
}

function readParagraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && !blank(lines[end]) && !begins(lines[end]) && !isTable(lines[end], lines[end + 1])) ++end;
  return { type: "paragraph", text: lines.slice(at, end).join("\n").trim(), end };
}

function readBlock(lines, at, depth) {
  const line = lines[at], open = fence(line);
  if (open) return readCode(lines, at, open);
  if (isHeading(line)) return readHeading(line, at);
  if (isRule(line)) return { type: "rule", end: at + 1 };
  if (depth < kDeepest && isQuote(line)) return readQuote(lines, at, depth);
  if (depth < kDeepest && kItem.test(line)) return readList(lines, at, depth);
  if (isTable(line, lines[at + 1])) return readTable(lines, at);
  return readParagraph(lines, at);
}

/// Blocks of lines; each tells in `begin` and `end` which lines it is made of.
export function blocksOf(lines, depth = 0) {
  const out = [];
  for (let at = 0; at < lines.length;) {
    if (blank(lines[at])) {
      ++at;
      continue;
    }
    const block = readBlock(lines, at, depth);
    block.begin = at;
    at = block.end;
    out.push(block);
  }
  return out;
}
