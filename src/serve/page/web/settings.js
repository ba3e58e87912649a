// What the reader of the page has chosen. The key is kept for this tab alone, the rest in this browser.
import { find } from "./dom.js";

const kDefaults = { temperature: 0.7, max_tokens: 512, instructions: "", learn: "all", notepad: true, passages: 4, theme: "auto" };
const kNumbers = ["temperature", "max_tokens", "passages"];

function load() {
  try {
    return JSON.parse(localStorage.getItem("ingrain.settings")) ?? {};
  } catch {
    return {};
  }
}

export const settings = { ...kDefaults, ...load(), key: sessionStorage.getItem("ingrain.key") ?? "" };

function save() {
  const { key, ...rest } = settings;
  localStorage.setItem("ingrain.settings", JSON.stringify(rest));
  localStorage.setItem("ingrain.theme", settings.theme);
  if (key) sessionStorage.setItem("ingrain.key", key);
  else sessionStorage.removeItem("ingrain.key");
}

function applyTheme() {
  if (settings.theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = settings.theme;
}

/// What a request for an answer says of them. Passages are looked up in what a named memory has read.
export function requestOptions(has_memory) {
  return {
    temperature: settings.temperature, max_output_tokens: settings.max_tokens, learn: settings.learn,
    ...(settings.instructions.trim() && { instructions: settings.instructions }),
    ...(settings.notepad && has_memory && { notepad: { enabled: true, passages: settings.passages } }),
  };
}

/// Opens the dialog; `why` stands above its fields. Calls `changed` once it is closed with Save.
export function openSettings(why, changed) {
  const dialog = find("settings"), form = find("settings-form");
  find("settings-why").textContent = why;
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") field.checked = settings[field.name];
    else field.value = settings[field.name];
  }
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "save") return;
    for (const field of form.elements) {
      if (!field.name) continue;
      settings[field.name] = field.type === "checkbox" ? field.checked : kNumbers.includes(field.name) ? Number(field.value) : field.value;
    }
    settings.key = settings.key.trim();
    save();
    applyTheme();
    changed();
  };
  find("settings-cancel").onclick = () => dialog.close("");
  dialog.showModal();
}

/// From auto to the other of light and dark, and back and forth.
export function switchTheme() {
  const now = settings.theme === "auto" ? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") : settings.theme;
  settings.theme = now === "dark" ? "light" : "dark";
  save();
  applyTheme();
}
