// A conversation with a memory: messages in, answers out, everything read exactly as the model's own template has it.
#pragma once

#include "ingrain/generate.h"
#include "ingrain/reader.h"

namespace ingrain {

struct Message {
  std::string role, content;  // "system", "user", "assistant", or what else the model's template knows
  bool operator==(const Message&) const = default;
};

struct DialogueOptions {
  bool special = false;  // control tokens in what is said ("<|im_end|>") are meant as such; otherwise they are text
  // Bytes for copies of the memory: to go back to, for undo() and where a template changes what it wrote. 0: none.
  uint64_t keep = uint64_t{1} << 30;
};

struct Answer {
  std::string text;
  StopReason reason = StopReason::max_tokens;
  int64_t tokens_read = 0;     // before the answer, those among them that were read again
  int64_t tokens_written = 0;  // an end-of-text token included
  double seconds_reading = 0, seconds_writing = 0;
};

/// Owns a memory and what was said since. After every turn the memory has read, after what it had read before the
/// dialogue began, what the model's template (or, without one, "Question: ... Answer:") writes for all messages: where
/// a template drops, repeats or closes parts of earlier turns, the memory goes back to the last token that agrees and
/// reads the rest. An answer that a limit ended is closed by the next turn or by close(). One thread at a time.
class Dialogue {
 public:
  /// Error if the model's template cannot be parsed.
  explicit Dialogue(Memory memory, DialogueOptions options = {});
  Dialogue(Dialogue&&) noexcept;
  Dialogue& operator=(Dialogue&&) noexcept;
  ~Dialogue();

  /// The next message; it is read with the next answer.
  void say(std::string_view role, std::string_view content);
  /// These messages in place of all there are.
  void set_messages(const std::vector<Message>& messages);
  std::vector<Message> messages() const;

  /// What the next answer may know and the memory is not to keep: it is read before the last question (at the beginning
  /// of its turn, where the model has a template) in a copy of the memory, which writes the answer. The memory itself
  /// then reads question and answer as if there had been nothing else.
  void aside(std::string_view text);

  /// Reads what is new and writes the answer, which becomes the next message. Error (what the template refuses, in its
  /// words, or no copy to go back to) leaves memory and messages as they were after the last answer. So does
  /// options.keep_going that ends the reading before the answer: then the answer is empty.
  Answer answer(const GenerateOptions& options, const std::function<void(std::string_view)>& on_text = {},
                const std::function<void(const InnerStep&)>& on_step = {});

  /// The log-probability, in nats, that the next answer begins with each of these texts, as its own tokens are; the
  /// aside is known. Changes nothing: neither memory nor messages nor aside. What was read for it is kept (a memory
  /// more) until the next answer, which does not read it again.
  std::vector<double> scores(const std::vector<std::string>& answers, const GenerateOptions& options) const;

  /// Becomes what it was before the last question: memory and messages. The memory is a copy where one is kept (of the
  /// latest exchanges, not of those from before restore()), bit for bit; else it goes back as far as it must and reads
  /// the rest again, learning from each token as it did then; of the options keep_going alone counts. False if nothing
  /// was asked, or if no copies are kept. Error if the reading was stopped: then nothing has changed.
  bool undo(const GenerateOptions& options = {});

  /// Reads what ends the last answer's turn, where a limit ended it: before the memory is used for something else.
  void close();

  const Memory& memory() const;
  /// Tokens that were read in it and that a template dropped later (thoughts, as a rule): no longer in the memory.
  int64_t tokens_dropped() const;

  /// All but the memory, as JSON: messages and tokens. For restore() into a dialogue that began with the same memory:
  /// `as_left`, the memory as it was then, if that was kept; else the tokens are read again, each learnt from as it was
  /// (of the options keep_going alone counts). Error for a text that is not such a state, or of another memory.
  std::string state() const;
  void restore(std::string_view state, const GenerateOptions& options, const Memory* as_left = nullptr);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ingrain
