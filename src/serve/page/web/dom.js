// DOM nodes without markup: whatever is said becomes text.

/// el("p", {class: "note", onclick: f, "aria-label": "..."}, "text", node, ...): null and false are left out.
export function el(name, options = {}, ...children) {
  const node = document.createElement(name);
  set(node, options);
  node.append(...children.filter((child) => child !== null && child !== false && child !== undefined));
  return node;
}

export function svg(name, options = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  set(node, options);
  node.append(...children);
  return node;
}

function set(node, options) {
  for (const [name, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
}

export const find = (id) => document.getElementById(id);

export function button(label, onclick, options = {}) {
  return el("button", { type: "button", onclick, ...options }, label);
}

/// Characters that change how their neighbours look, or look like nothing, are shown by number: text that reads one way
/// and is another would deceive.
export function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (c) => `⟪U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟫`);
}

export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Without https there is no clipboard but this one.
  const area = el("textarea", { class: "hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function bytes(count) {
  if (count < 1000) return `${count} B`;
  for (const unit of ["kB", "MB", "GB"]) {
    count /= 1000;
    if (count < 1000 || unit === "GB") return `${count.toFixed(1)} ${unit}`;
  }
}

export const number = (value) => value.toLocaleString("en");

/// Read out by screen readers, once.
export function announce(text) {
  find("status").textContent = text;
}

/// A dialog with a question and, where `value` is a text, a field. Resolves to the field's text (true without one), or
/// null.
export function ask({ title, text = "", label = "Name", value = null, accept = "OK" }) {
  return new Promise((resolve) => {
    const field = value === null ? null : el("input", { type: "text", maxlength: 200, required: true });
    if (field) field.value = value;
    const heading = el("h2", { id: "ask-title" }, title);
    const dialog = el("dialog", { "aria-labelledby": "ask-title", class: "small" },
      el("form", { method: "dialog" }, heading, text && el("p", {}, text),
        field && el("label", { class: "field" }, label, field),
        el("div", { class: "actions" },
          button("Cancel", () => dialog.close("")),
          el("button", { class: "primary", value: "accept" }, accept))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "accept" ? (field ? field.value.trim() || null : true) : null);
    });
    document.body.append(dialog);
    dialog.showModal();
    field?.select();
  });
}
