#include "cli/chat_session.h"
#include "cli/commands.h"
#include "cli/key_input.h"
#include "cli/last_conversation.h"
#include "cli/line_editor.h"
#include "cli/yes_or_no.h"
#include "cli/model_options.h"
#include "cli/paths.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/text.h"

#include <unistd.h>

#include <cstdio>

namespace ingrain::cli {
namespace {

struct ChatCommand {
  std::string model, memory, system;
  LoadOptions how;
  WritingOptions writing;
  NotepadOptions notepad;
  bool show_learning = false, last = false, special = false;
};

/// SmolLM2 with its adapter where its base has been fetched (./ingrain chat does that), else the small model that is
/// always here.
std::filesystem::path default_model() {
  const auto models = project_folder() / "models";
  const bool fetched = std::filesystem::exists(models / "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf");
  return models / (fetched ? "smollm2-135m-reader" : "reader-17m");
}

ConversationStart start_of(const ChatCommand& o) {
  const std::filesystem::path folder = !o.memory.empty()  ? model_for_memory(o.memory, o.model)
                                       : !o.model.empty() ? resolve_model(o.model)
                                                          : default_model();
  return {folder.string(), o.memory, o.special};
}

Dialogue open_dialogue(const ConversationStart& start, const LoadOptions& how) {
  const Model model = ModelOptions{start.model, how}.open();
  Memory memory = start.memory.empty() ? Memory(model) : Memory::load(start.memory, model);
  return Dialogue(std::move(memory), {.special = start.special});
}

Dialogue reopen_dialogue(const LastConversation& last, const LoadOptions& how, const GenerateOptions& options) {
  Dialogue out = open_dialogue(last.start, how);
  std::optional<Memory> left;
  try {
    if (!last.memory_left.empty()) left = Memory::load(last.memory_left, out.memory().model());
  } catch (const Error&) {
    // of another conversation, or damaged: the tokens are read again
  }
  out.restore(last.state, options, left ? &*left : nullptr);
  return out;
}

/// What the person says next, of one line, or of several: pasted, or between lines that begin and end with three
/// quotes.
Line read_said() {
  constexpr std::string_view kBlock = "\"\"\"";
  Line line = read_line("> ");
  const bool pasted = line.said.find('\n') != line.said.npos;  // a program, say, whose first line is its description
  if (line.kind != Line::text || pasted || !std::string_view(line.said).starts_with(kBlock)) return line;
  std::string block = line.said.substr(kBlock.size());
  while (!block.ends_with(kBlock)) {
    const Line next = read_line("... ");
    if (next.kind == Line::cancelled) return next;
    if (next.kind == Line::end) return {Line::text, block};
    block += "\n" + next.said;
  }
  block.resize(block.size() - kBlock.size());
  const size_t first = block.find_first_not_of('\n');
  if (first == block.npos) return {Line::text, {}};
  return {Line::text, block.substr(first, block.find_last_not_of('\n') - first + 1)};
}

void offer_to_save(ChatSession& session) {
  if (!session.unsaved()) return;
  std::string prompt = "save the memory to (Enter or n: only where 'ingrain chat --last' finds it): ";
  while (true) {
    const Line line = read_line(prompt);
    if (line.kind != Line::text || is_no(line.said)) return;
    prompt = "the file to save it to: ";
    if (is_yes(line.said)) continue;
    try {
      return session.save(line.said);
    } catch (const Error& e) {
      std::printf("%s\n", e.what());
    }
  }
}

/// Ctrl-C ends an answer alone.
void watch_conversation(bool said) {
  announce_interrupts(!said                    ? "nothing was said yet"
                      : state_folder().empty() ? "without a HOME what was said is not kept"
                                               : "what was said is kept, 'ingrain chat --last' goes on with it",
                      Said::after_text, "this answer ends, the conversation goes on");
}

/// What is said next; nothing where that ends the conversation: the input's end, or Ctrl-C pressed twice. Ctrl-C is the
/// prompt's also while a line is printed between two.
std::optional<std::string> next_said(ChatSession& session) {
  forget_ctrl_c();
  const KeyInput keys;
  for (bool once = false;;) {
    std::fflush(stdout);
    const Line line = read_said();
    if (line.kind == Line::text) return line.said;
    if (line.kind == Line::end) return {};
    forget_ctrl_c();
    if (once && !line.typed) break;
    once = true;
    std::printf("Ctrl-C once more, or /quit, ends the conversation\n");
  }
  offer_to_save(session);
  return {};
}

void converse(ChatSession& session, const ConversationStart& start, bool terminal) {
  std::vector<Message> kept = session.dialogue().messages();
  int64_t failed = 0;
  while (session.open()) {
    watch_conversation(session.asked());
    const auto said = next_said(session);
    if (!said) break;
    forget_ctrl_c();
    watch_conversation(true);
    try {
      session.take(*said);
      if (auto now = session.dialogue().messages(); now != kept) {
        session.asked() ? keep_last(start, session.dialogue()) : forget_last();
        kept = std::move(now);
      }
    } catch (const Error& e) {
      std::printf("%s\n", e.what());
      ++failed;
    }
  }
  if (session.unsaved()) {
    keep_last(start, session.dialogue());
    if (keep_last_memory(session.dialogue()) && terminal)
      std::printf("not saved; 'ingrain chat --last' goes on with this conversation\n");
  }
  // A script sees no more than the exit status.
  require(terminal || failed == 0, "{} of the conversation could not be done; the reason stands where it was asked for",
          counted(failed, "line"));
}

void chat(const ChatCommand& o) {
  const GenerateOptions options = o.writing.parse();
  watch_interrupts(o.last ? "nothing was added to the conversation" : "nothing was said yet");
  if (o.last && (!o.memory.empty() || !o.model.empty() || !o.system.empty()))
    fail_usage("--last goes on with the latest conversation: its model, memory and instructions; leave the others out");
  std::optional<LastConversation> last;
  if (o.last) last = last_conversation();
  const ConversationStart start = last ? last->start : start_of(o);
  if (o.notepad.on && !start.memory.empty()) open_notes(start.memory);  // that they are there
  Dialogue dialogue = last ? reopen_dialogue(*last, o.how, options) : open_dialogue(start, o.how);
  require_possible(options, dialogue.memory().model());
  if (!o.system.empty()) dialogue.say("system", o.system);
  stop_if_interrupted("stopped before the conversation began");
  const bool terminal = ::isatty(STDIN_FILENO) && ::isatty(STDOUT_FILENO);
  const int64_t position = dialogue.memory().position();
  std::printf("%s%s. /help lists the commands; Ctrl-C ends an answer, Ctrl-D the conversation.\n",
              std::filesystem::path(start.model).filename().c_str(),
              position > 0 ? (", having read " + counted(position, "token")).c_str() : "");
  for (const Message& message : dialogue.messages())
    if (last) std::printf("%s%s\n", message.role == "user" ? "> " : "", message.content.c_str());
  ChatSession session(
      std::move(dialogue), options,
      {.show_learning = o.show_learning, .terminal = terminal, .notepad = o.notepad, .memory = start.memory});
  converse(session, start, terminal);
}

}  // namespace

void add_chat_command(CLI::App& app) {
  auto* command = app.add_subcommand("chat", "Talk with a model that remembers the whole conversation");
  auto o = std::make_shared<ChatCommand>();
  command->add_option("MODEL", o->model,
                      "A model folder (default: the memory's own model, else models/smollm2-135m-reader if its base is "
                      "there, else models/reader-17m)");
  command->add_option("--memory", o->memory, "Begin with this memory file (it is not changed)");
  command->add_flag("--last", o->last, "Go on with the latest conversation that was not saved");
  command->add_option("--system", o->system, "Instructions that come before the conversation");
  o->notepad.add_to(*command);
  add_special_flag(*command, o->special);
  add_compute_options(*command, o->how);
  add_weights_option(*command, o->how);
  o->how.step_delay = LoadOptions::kDelayOfWriting;  // costs hardly anything (bench/results/retrofit.md)
  add_step_delay_option(*command, o->how);
  command->add_flag("--show-learning", o->show_learning,
                    "After each answer: every inner step's loss on its chunk, before and after it");
  // bench/results/defaults.md says why.
  o->writing.options.sampling.temperature = 1;
  o->writing.options.sampling.top_p = 0.95;
  o->writing.add_to(*command);
  command->footer(
      "Examples:\n  ingrain chat --memory book.memory\n  ingrain chat models/reader-17m --temperature 0.5\n"
      "In the conversation: /read FILE, /system TEXT, /undo, /retry, /save FILE, /fork FILE, /notes on|off, /stats, "
      "/help, /quit;\n"
      "a pasted text of several lines is one question, as is what stands between two lines of \"\"\".");
  command->callback([o] { chat(*o); });
}

}  // namespace ingrain::cli
