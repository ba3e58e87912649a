// Files become a memory: dropped or chosen, with a name, a beginning and a progress bar.
import * as api from "./api.js";
import { announce, bytes, el, find, number, visible } from "./dom.js";

let running = null;

/// Zero bytes are no text, and bytes that are no UTF-8 would be read as something else.
async function refusal(file) {
  const head = new Uint8Array(await file.slice(0, 65536).arrayBuffer());
  if (file.size === 0) return `${file.name} is empty.`;
  if (head.includes(0)) return `${file.name} is no text: it holds zero bytes.`;
  return null;
}

function suggestedName(files, taken) {
  const base = files[0].name.replace(/\.[^.]{1,8}$/, "").replace(/[\u0000-\u001f\u007f/]/g, " ").trim().slice(0, 40) || "memory";
  let name = base;
  for (let i = 2; taken.has(name); ++i) name = `${base} ${i}`;
  return name;
}

/// Asks for a name and where to begin, then reads. `memories`: those there are; `told`: {reading(now), step(step), done(memory), failed(message)}.
export async function readFiles(files, memories, told) {
  if (running || files.length === 0) return;
  for (const file of files) {
    const why = await refusal(file);
    if (why) return told.failed(why);
  }
  const form = find("read-form"), dialog = find("read-dialog");
  find("read-what").textContent = files.map((file) => `${visible(file.name)} (${bytes(file.size)})`).join(", ");
  form.elements.name.value = suggestedName(files, new Set(memories.map((memory) => memory.name)));
  form.elements.from.replaceChildren(el("option", { value: "" }, "the model as it is"),
    ...memories.map((memory) => el("option", { value: memory.id }, visible(memory.name || memory.id))));
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "read") read(form.elements.name.value.trim(), form.elements.from.value, files, told);
  };
  find("read-cancel").onclick = () => dialog.close("");
  dialog.showModal();
  form.elements.name.select();
}

async function read(name, from, files, told) {
  running = new AbortController();
  told.reading(true);
  const bar = find("reading-bar"), text = find("reading-text"), box = find("reading");
  const begun = performance.now();
  find("reading-name").textContent = `Reading into “${visible(name)}”`;
  bar.removeAttribute("value");
  text.textContent = "Sending…";
  box.hidden = false;
  find("reading-stop").onclick = () => running.abort();
  announce(`Reading into ${name}`);
  let memory = null;
  try {
    for await (const event of api.memories.read(name, from, files, running.signal)) {
      const progress = event.reading;
      if (event.error) throw new api.ApiError(500, event.error.message);
      if (event.step) told.step(event.step);
      if (progress) {
        const rate = progress.read / ((performance.now() - begun) / 1000);
        bar.max = Math.max(1, progress.of);
        bar.value = progress.read;
        const which = event.texts > 1 ? `file ${event.text + 1} of ${event.texts}: ` : "";
        text.textContent = `${which}${number(progress.read)} of ${number(progress.of)} tokens · ${number(Math.round(rate))} tokens/s`;
      }
      if (event.memory ?? (event.object === "memory" && event)) memory = event.memory ?? event;
    }
    if (!memory) throw new api.ApiError(0, "Reading broke off.");
    told.done(memory);
    announce(`${name} is read`);
  } catch (error) {
    told.failed(error.name === "AbortError" ? "Reading was stopped." : error.message);
  } finally {
    running = null;
    box.hidden = true;
    told.reading(false);
  }
}

/// Files dropped anywhere on the page.
export function acceptDrops(take) {
  const shade = find("drop");
  let depth = 0;
  const withFiles = (event) => event.dataTransfer?.types.includes("Files");
  const show = (by) => {
    depth = Math.max(0, depth + by);
    shade.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => withFiles(event) && show(1));
  addEventListener("dragleave", (event) => withFiles(event) && show(-1));
  addEventListener("dragover", (event) => withFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!withFiles(event)) return;
    event.preventDefault();
    show(-depth);
    take([...event.dataTransfer.files]);
  });
}
