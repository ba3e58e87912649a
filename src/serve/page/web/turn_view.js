// A question and its answer, with what can be done about them.
import { button, copy, el, number, visible } from "./dom.js";
import { MarkdownView } from "./markdown.js";

function switcher(turn, among, kind, choose) {
  if (among.length < 2) return null;
  const index = among.indexOf(turn);
  const go = (to, text, label) =>
    button(text, () => choose(among[to]), { class: "quiet", "aria-label": label, disabled: to < 0 || to >= among.length });
  return el("span", { class: "switcher" }, go(index - 1, "‹", `Previous ${kind}`),
    el("span", {}, `${index + 1}/${among.length}`), go(index + 1, "›", `Next ${kind}`));
}

function passages(list) {
  if (!list?.length) return null;
  const items = list.map((passage) => el("li", {},
    el("span", { class: "source" }, visible(passage.source || "what was said"), passage.offset === undefined ? "" : ` · at ${number(passage.offset)}`),
    el("blockquote", { dir: "auto" }, visible(passage.text ?? ""))));
  return el("details", { class: "passages" }, el("summary", {}, list.length === 1 ? "1 passage used" : `${list.length} passages used`), el("ol", {}, ...items));
}

function facts(turn) {
  const out = [];
  if (turn.usage) {
    out.push(`${number(turn.usage.output_tokens)} tokens`);
    const cached = turn.usage.input_tokens_details?.cached_tokens;
    if (cached) out.push(`${number(cached)} of ${number(turn.usage.input_tokens)} not read again`);
  }
  if (turn.about?.seconds_writing) out.push(`${turn.about.seconds_writing.toFixed(1)} s`);
  return out.join(" · ");
}

export class TurnView {
  /// `acts`: stay(draw), choose(turn), retry(turn), edit(turn, question), keep(turn).
  constructor(tree, turn, acts) {
    Object.assign(this, { tree, turn, acts });
    this.questionTools = el("div", { class: "tools" });
    this.question = el("div", { class: "text", dir: "auto" }, visible(turn.question));
    this.asked = el("article", { class: "question", "aria-label": "You" }, this.question, this.questionTools);
    this.text = el("div", { class: "markdown" });
    this.markdown = new MarkdownView(this.text, acts.stay);
    this.note = el("p", { class: "note" });
    this.extra = el("div");
    this.answerTools = el("div", { class: "tools" });
    this.answer = el("article", { class: "answer", "aria-label": "Answer" }, this.text, this.note, this.extra, this.answerTools);
    if (turn.answer) this.markdown.append(turn.answer), this.markdown.finish();
    this.update();
  }

  nodes() {
    return [this.asked, this.answer];
  }

  append(text) {
    this.markdown.append(text);
    this.progress("");
  }

  progress(text) {
    if (this.note.textContent !== text) this.note.textContent = text;
  }

  /// The answer is complete, or something beside it has changed.
  update() {
    const { turn, tree, acts } = this, writing = turn.status === "writing";
    if (!writing) this.markdown.finish();
    this.answer.classList.toggle("writing", writing);
    this.answer.classList.toggle("failed", turn.status === "failed");
    this.answer.setAttribute("aria-busy", writing);
    if (!writing) this.note.textContent = visible(turn.note);
    this.questionTools.replaceChildren(...[
      switcher(tree.questions(turn).find((other) => other.question === turn.question) ?? turn, tree.questions(turn), "question", acts.choose),
      button("Edit", () => this.edit(), { class: "quiet edit" })].filter(Boolean));
    this.extra.replaceChildren(...[passages(turn.about?.passages)].filter(Boolean));
    const done = button("Copy", async () => {
      await copy(turn.answer);
      done.textContent = "Copied";
      setTimeout(() => (done.textContent = "Copy"), 1500);
    }, { class: "quiet" });
    this.answerTools.replaceChildren(...(writing ? [] : [
      switcher(turn, tree.answers(turn), "answer", acts.choose),
      turn.answer && done,
      button("Retry", () => acts.retry(turn), { class: "quiet retry" }),
      turn.id && turn.status !== "failed" && button("Keep memory", () => acts.keep(turn), { class: "quiet" }),
      el("span", { class: "facts" }, facts(turn))].filter(Boolean)));
  }

  edit() {
    const field = el("textarea", { rows: 3, "aria-label": "Your message, edited" });
    field.value = this.turn.question;
    const leave = () => {
      this.asked.replaceChildren(this.question, this.questionTools);
      this.asked.classList.remove("editing");
      this.questionTools.querySelector(".edit")?.focus();
    };
    const send = () => {
      if (field.value.trim()) leave(), this.acts.edit(this.turn, field.value);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) event.preventDefault(), send();
      if (event.key === "Escape") event.stopPropagation(), leave();
    });
    this.asked.classList.add("editing");
    this.asked.replaceChildren(field, el("div", { class: "actions" }, button("Cancel", leave),
      button("Send as a new branch", send, { class: "primary" })));
    field.focus();
  }
}
