// The page: who is shown, what is asked, and what becomes of it.
import { answer } from "./answering.js";
import * as api from "./api.js";
import { showLearning } from "./chart.js";
import { announce, ask, find, visible } from "./dom.js";
import { closeDrawers, leaveDrawer } from "./drawers.js";
import { drawConversations, drawMemories } from "./lists.js";
import { acceptDrops, readFiles } from "./reading.js";
import { openSettings, switchTheme } from "./settings.js";
import { Tree } from "./tree.js";
import { drawTree } from "./tree_view.js";
import { TurnView } from "./turn_view.js";

const kTitle = 60;
const state = {
  conversations: [], // {id, title, memory, tree (null: not loaded), about, running (an AbortController)}
  pages: 1, // of the list of conversations that are wanted
  memories: [],
  current: null, // null: a new one, not yet begun
  base: "", // the memory that a new one begins from
  reading: false,
  readSteps: [], // of the files that were read last
  views: new Map(), // turns shown -> TurnView
};
const say = find("say"), welcome = find("welcome");

// What goes wrong is said in one place, until it is closed.
function complain(error) {
  if (error.status === 401) return openSettings("This server wants an API key.", start);
  find("problem-text").textContent = visible(error.message ?? String(error));
  find("problem").hidden = false;
}
const guarded = (act) => async (...args) => {
  try {
    await act(...args);
  } catch (error) {
    complain(error);
  }
};

// ---- what is shown

function drawLists() {
  drawConversations(state.conversations, state.current, { open: guarded(openConversation), rename: guarded(renameConversation), remove: guarded(removeConversation) });
  drawMemories(state.memories, state.base, { begin: beginFrom, rename: guarded(renameMemory), remove: guarded(removeMemory), download: guarded(downloadMemory) });
}

function drawLearning() {
  const { current } = state;
  // Of a conversation: the steps of the branch that is shown, which its memory has made one after another.
  const steps = state.reading || !current ? state.readSteps : (current.tree?.path() ?? []).flatMap((turn) => turn.steps);
  showLearning(steps, state.reading ? null : current ? current.tree?.leaf?.about ?? current.about : memoryAbout());
}

function memoryAbout() {
  const memory = state.memories.find((each) => each.id === state.base);
  return memory ? { memory_bytes: memory.bytes, position: memory.tokens } : null;
}

function drawControls() {
  const running = Boolean(state.current?.running);
  find("send").hidden = running;
  find("stop").hidden = !running;
  find("base-field").hidden = Boolean(state.current);
  const memory = state.memories.find((each) => each.id === state.current?.memory);
  find("base-shown").textContent = memory ? `Begun from “${visible(memory.name)}”` : "";
  document.title = state.current ? `${visible(state.current.title)} · ingrain` : "ingrain";
}

/// Who looks at the end goes on looking at the end.
function stay(act) {
  const log = find("log"), below = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  act();
  if (below) log.scrollTop = log.scrollHeight;
}

function drawThread() {
  const tree = state.current?.tree, log = find("log");
  state.views.clear();
  const acts = { stay, choose, retry, edit: (turn, question) => begin(question, turn.parent), keep: guarded(keepMemory) };
  for (const turn of tree?.path() ?? []) state.views.set(turn, new TurnView(tree, turn, acts));
  const nodes = [...state.views.values()].flatMap((view) => view.nodes());
  log.replaceChildren(...(nodes.length ? nodes : [welcome]));
  drawTree(tree, choose);
  log.scrollTop = log.scrollHeight;
}

function draw() {
  drawLists();
  drawThread();
  drawLearning();
  drawControls();
}

function choose(turn) {
  state.current.tree.visit(turn);
  drawThread();
  drawLearning();
  const view = state.views.get(turn);
  view?.asked.scrollIntoView({ block: "nearest" });
}

// ---- conversations

async function openConversation(conversation) {
  if (!conversation.tree) conversation.tree = Tree.of(await api.conversations.responses(conversation.id));
  state.current = conversation;
  conversation.about ??= conversation.tree.leaf?.about ?? null;
  closeDrawers();
  draw();
  say.focus();
}

function newConversation() {
  state.current = null;
  closeDrawers();
  draw();
  say.focus();
}

async function renameConversation(conversation) {
  const title = await ask({ title: "Rename the conversation", value: conversation.title });
  if (!title) return;
  conversation.title = title;
  await api.conversations.update(conversation.id, metadata(conversation));
  draw();
}

async function removeConversation(conversation) {
  if (!(await ask({ title: "Delete the conversation?", text: `“${visible(conversation.title)}” and its branches cannot be brought back.`, accept: "Delete" }))) return;
  conversation.running?.abort();
  await api.conversations.remove(conversation.id);
  state.conversations.splice(state.conversations.indexOf(conversation), 1);
  if (state.current === conversation) state.current = null;
  draw();
}

/// The newest conversations, and those that were begun meanwhile; what is known of them stays.
async function loadConversations() {
  const known = new Map(state.conversations.map((conversation) => [conversation.id, conversation]));
  const listed = [];
  let next = "";
  for (let i = 0; i < state.pages && (i === 0 || next); ++i) {
    const page = await api.conversations.page(next);
    listed.push(...page.data);
    next = page.next;
  }
  const begun = state.conversations.filter((conversation) => !known.has(conversation.id));
  const there = listed.filter((each) => !begun.some((other) => other.id === each.id)).map((each) => known.get(each.id) ??
    { id: each.id, title: each.metadata?.title ?? "Without a title", memory: each.metadata?.memory ?? "", tree: null, about: null, running: null });
  state.conversations = [...begun, ...there];
  find("older").hidden = !next;
  if (!state.conversations.includes(state.current)) state.current = null;
}

const metadata = (conversation) => ({ title: conversation.title, ...(conversation.memory && { memory: conversation.memory }) });

async function createConversation(question) {
  const line = question.trim().split("\n", 1)[0];
  const title = [...line].slice(0, kTitle).join("") + ([...line].length > kTitle ? "…" : "");
  const conversation = { title, memory: state.base, tree: new Tree(), about: null, running: null };
  conversation.id = (await api.conversations.create(metadata(conversation))).id;
  state.conversations.unshift(conversation);
  return conversation;
}

// ---- asking

/// Asks `question` after `parent` (null: first), as a new branch where there is one already.
const begin = guarded(async (question, parent) => {
  if (state.current?.running) return;
  state.current ??= await createConversation(question);
  const conversation = state.current, turn = conversation.tree.add(parent, question);
  conversation.running = new AbortController();
  draw();
  announce("Writing");
  const view = () => state.views.get(turn);
  try {
    await answer(conversation, turn, conversation.running.signal, {
      text: (delta) => view()?.append(delta),
      progress: (text) => view()?.progress(text),
      step: (step) => {
        turn.steps.push(step);
        if (state.current === conversation) drawLearning();
      },
      about: (about) => (conversation.about = about), // what was last known, while the next is written
    });
  } catch (error) {
    conversation.tree.remove(turn);
    say.value = question;
    throw error;
  } finally {
    conversation.running = null;
    finished(conversation, turn);
  }
});

function finished(conversation, turn) {
  drawLists();
  drawControls();
  if (state.current !== conversation) return;
  if (!state.views.has(turn) || conversation.tree.leaf !== turn) drawThread();
  else {
    stay(() => state.views.get(turn).update());
    drawTree(conversation.tree, choose);
  }
  drawLearning();
  announce(turn.status === "completed" ? `Answer: ${turn.answer.slice(0, 1000)}` : turn.note);
}

const retry = (turn) => begin(turn.question, turn.parent);
const stop = () => state.current?.running?.abort();

function send() {
  const question = say.value;
  if (!question.trim() || state.current?.running) return;
  say.value = "";
  grow();
  begin(question, state.current?.tree.leaf ?? null);
}

function grow() {
  say.style.height = "auto";
  say.style.height = `${Math.min(say.scrollHeight + 2, innerHeight * 0.4)}px`;
}

// ---- memories

async function loadMemories() {
  state.memories = await api.memories.list();
  if (!state.memories.some((memory) => memory.id === state.base)) state.base = "";
  drawLists();
  drawControls();
}

function beginFrom(memory) {
  state.base = memory.id;
  newConversation();
}

async function renameMemory(memory) {
  const name = await ask({ title: "Rename the memory", value: memory.name });
  if (name) await api.memories.rename(memory.id, name), await loadMemories();
}

async function removeMemory(memory) {
  if (!(await ask({ title: "Delete the memory?", text: `“${visible(memory.name)}” cannot be brought back. Conversations that began from it stay.`, accept: "Delete" }))) return;
  await api.memories.remove(memory.id);
  await loadMemories();
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/// The memory, and beside it its notes.
async function downloadMemory(memory) {
  const name = `${memory.name || memory.id}.memory`;
  save(await api.memories.file(memory.id), name);
  const notes = memory.sources?.length ? await api.memories.notes(memory.id) : null;
  if (notes) save(notes, `${name}.notes`);
}

async function keepMemory(turn) {
  const name = await ask({ title: "Keep what it remembers now", text: "A memory that new conversations can begin from.", value: state.current.title.slice(0, 40) });
  if (name) await api.memories.keep(name, turn.id), await loadMemories();
}

const take = (files) => {
  return readFiles(files, state.memories, {
    reading: (now) => {
      state.reading = now;
      if (now) state.readSteps = [];
      drawLearning();
    },
    step: (step) => {
      state.readSteps.push(step);
      drawLearning();
    },
    done: guarded(async (memory) => {
      await loadMemories();
      beginFrom(memory);
    }),
    failed: (message) => complain(new Error(message)),
  });
};

// ---- the controls

find("composer").onsubmit = (event) => {
  event.preventDefault();
  send();
};
say.oninput = grow;
say.onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) event.preventDefault(), send();
  if (event.key === "ArrowUp" && say.value === "" && state.current?.tree.leaf && !state.current.running) {
    event.preventDefault();
    state.views.get(state.current.tree.leaf)?.edit();
  }
};
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (!leaveDrawer()) stop();
});
find("stop").onclick = stop;
find("new").onclick = newConversation;
find("older").onclick = guarded(async () => {
  ++state.pages;
  await loadConversations();
  drawLists();
});
find("theme").onclick = switchTheme;
find("open-settings").onclick = () => openSettings("", start);
find("problem-close").onclick = () => (find("problem").hidden = true);
find("base").onchange = () => {
  state.base = find("base").value;
  drawLearning();
};
find("read").onclick = () => find("files").click();
find("files").onchange = () => {
  const files = [...find("files").files];
  find("files").value = "";
  take(files);
};
acceptDrops(take);

const start = guarded(async () => {
  const { data } = await api.models();
  find("model").textContent = visible(data[0]?.id ?? "");
  await loadConversations();
  await loadMemories();
  draw();
});

draw();
start();
