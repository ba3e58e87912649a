// The lists on the left: conversations and memories.
import { bytes, el, find, number, button, visible } from "./dom.js";

function menu(label, entries) {
  const details = el("details", { class: "menu" }, el("summary", { "aria-label": label }, "⋯"),
    el("div", { class: "menu-items" }, ...entries.map(([text, act]) => button(text, () => {
      details.open = false;
      act();
    }))));
  details.addEventListener("focusout", (event) => {
    if (!details.contains(event.relatedTarget)) details.open = false;
  });
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !details.open) return;
    event.stopPropagation();
    details.open = false;
    details.querySelector("summary").focus();
  });
  return details;
}

export function drawConversations(conversations, current, acts) {
  find("conversations").replaceChildren(...conversations.map((conversation) => el("li", { class: conversation === current ? "current" : "" },
    el("button", { type: "button", class: "entry", dir: "auto", "aria-current": conversation === current ? "page" : null,
      onclick: () => acts.open(conversation) }, visible(conversation.title), conversation.running ? " …" : ""),
    menu(`More about ${visible(conversation.title)}`, [["Rename", () => acts.rename(conversation)], ["Delete", () => acts.remove(conversation)]]))));
  find("conversations-empty").hidden = conversations.length > 0;
}

export function drawMemories(memories, chosen, acts) {
  find("memories").replaceChildren(...memories.map((memory) => {
    const name = visible(memory.name || memory.id);
    const facts = [memory.tokens !== undefined && `${number(memory.tokens)} tokens`, memory.bytes && bytes(memory.bytes)].filter(Boolean).join(" · ");
    return el("li", {},
      el("button", { type: "button", class: "entry", onclick: () => acts.begin(memory) }, el("span", { dir: "auto" }, name), el("small", {}, facts)),
      menu(`More about ${name}`, [["Begin a conversation", () => acts.begin(memory)], ["Rename", () => acts.rename(memory)],
        ["Download", () => acts.download(memory)], ["Delete", () => acts.remove(memory)]]));
  }));
  find("memories-empty").hidden = memories.length > 0;
  find("base").replaceChildren(el("option", { value: "" }, "the model as it is"),
    ...memories.map((memory) => el("option", { value: memory.id, selected: memory.id === chosen }, visible(memory.name || memory.id))));
}
