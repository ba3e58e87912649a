// What the server asks of a model, whichever API's words it came in: read a prompt (of which all that is known is not
// read again), write an answer, keep what has become of the memory. One thread computes; sessions that write share a
// pass, and long reading is cut so that nobody's stream stalls.
#pragma once

#include "ingrain/error.h"
#include "ingrain/generate.h"
#include "ingrain/model.h"
#include "ingrain/reader.h"
#include "serve/grammar/constraint.h"
#include "serve/store/records.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <functional>
#include <optional>

namespace ingrain::serve {

/// Whose it is: the name of an API key's namespace ("" where there are no keys). Nothing of one is ever another's.
using Owner = std::string;

/// The member of a message that holds Choice::message: an answer as the model wrote it.
inline constexpr const char* kAnswerMember = "ingrain_answer";

/// Where an answer begins.
struct Prompt {
  Owner owner;
  /// A state to begin from, by id: a named memory's. Empty: the model as it is. What the prompt says comes after it.
  std::string base;
  /// A state that the prompt goes on from, as far as the caller knows; what it has read is not cut into tokens again.
  /// Empty: none is known. Nothing depends on it but time.
  std::string latest;
  /// The conversation, as chat templates take it, or (text, or tokens) what a completion goes on from.
  nlohmann::ordered_json messages;
  /// The messages as the client says them, where the model reads others (notes before a question); null: the same. What
  /// becomes of the memory is found again under these.
  nlohmann::ordered_json said;
  bool continues = false;        // the last message is the beginning of the answer, which goes on from it
  nlohmann::ordered_json tools;  // null: none
  nlohmann::ordered_json extra;  // more variables of the template, or null
  std::optional<std::string> text;
  std::vector<int32_t> tokens;
};

struct Writing {
  SamplingOptions sampling;
  int64_t max_tokens = -1;  // -1: until the model ends
  std::vector<std::string> stop;
  Learn learn = Learn::all;
  int64_t choices = 1;        // texts from the same prompt; the seed of the i-th is sampling.seed + i
  int64_t top_logprobs = -1;  // -1: no scores; 0: the token's own; k: those of the k likeliest, too
  std::shared_ptr<const Constraint> constraint;  // at the beginning of the text; nullptr: none
  bool keep = true;                              // the state after the answer outlives the server (store)
  std::vector<std::string> marks;                // special tokens that the text has as they are spelt
  /// The answer as it comes back in the client's next request, a message with "content" and maybe "tool_calls"; null:
  /// as it was written. Templates drop thoughts and write calls in their own way: what has become of the memory, which
  /// has read what was written, is found again under what they write.
  std::function<nlohmann::ordered_json(int64_t choice, const std::string& text)> returned;
};

struct TokenScore {
  int32_t id = -1;
  std::string bytes;   // of a special token: its spelling
  double logprob = 0;  // of the model's own distribution, before penalties and cuts
};
struct WrittenToken {
  TokenScore token;
  std::vector<TokenScore> top;  // by falling logprob
};

/// What happens on the way. Texts are whole characters; the tokens that came with them may be more or fewer.
struct Event {
  enum class Kind { reading, step, text } kind = Kind::text;  // the first: reading, of none so far
  int64_t choice = 0;
  std::string text;
  std::vector<WrittenToken> tokens;             // text: with Writing::top_logprobs >= 0
  int64_t written = 0;                          // text: tokens of the choice up to here
  int64_t tokens_read = 0, tokens_to_read = 0;  // reading
  InnerStep step{};                             // step: what was learnt
};

struct Choice {
  std::string text;
  StopReason reason = StopReason::max_tokens;
  int64_t tokens = 0;  // written, an end-of-text token included
  std::string state;   // id of what the memory has become; "" where nothing was kept
  /// The answer as a message of the conversation: control tokens and text told apart (Conversation::add_answer).
  nlohmann::ordered_json message;
};

struct Outcome {
  int64_t prompt_tokens = 0;  // of the whole prompt, as the memory has read it, the base's not counted
  int64_t cached_tokens = 0;  // of them, what was not read again
  std::string miss;           // why not all but the newest message was known; "" if it was
  double seconds_queued = 0, seconds_reading = 0, seconds_writing = 0;
  uint64_t memory_bytes = 0;
  int64_t position = 0;  // of the memory, the base's tokens counted
  std::vector<Choice> choices;
};

/// The server is full or stopping: try again (429, 503).
class Busy : public Error {
 public:
  using Error::Error;
};
/// What was asked for is not there (any more), or is another's, which looks the same.
class NotFound : public Error {
 public:
  using Error::Error;
};

struct EngineOptions {
  std::filesystem::path folder;                // states' tensors; empty: they live in RAM alone
  bool shared_folder = false;                  // other machines have it, too: what is in RAM is none of its pages
  uint64_t memory_budget = uint64_t{2} << 30;  // bytes in RAM of states and of answers in work; what was used longest
                                               // ago goes (to disk), and answers wait that would not fit
  uint64_t disk_budget = 0;                    // bytes of states on disk; 0: no limit
  double max_age_seconds = 0;                  // of states that nobody used; 0: no limit
  int64_t max_running = 64;                    // answers at once; more wait
  int64_t max_waiting = 512;                   // more are Busy
  int64_t read_slice = 0;                      // tokens read at once between two tokens of others; 0: a chunk
  /// Called by the computing thread after a second without work, or without a change of set_outside_bytes(), and now
  /// and then while the process has grown by more than the budget.
  std::function<void()> on_idle = {};
};

struct EngineStats {
  int64_t tokens_read = 0, tokens_written = 0, tokens_cached = 0, tokens_learned = 0, inner_steps = 0, prompts = 0,
          prompts_known = 0;
  int64_t running = 0, waiting = 0, states = 0, states_in_memory = 0;
  uint64_t state_bytes_in_memory = 0, state_bytes_on_disk = 0;
  uint64_t working_bytes = 0;  // of what is being read and written, as far as no state has it
  uint64_t outside_bytes = 0;  // set_outside_bytes()
  double seconds_computing = 0;
};

/// All members may be called by many threads at once.
class Engine {
 public:
  Engine(Model model, std::shared_ptr<Records> records, const EngineOptions& options);
  ~Engine();  // finish(0)

  const Model& model() const;

  /// Blocks until the answer is there; `on_event` is called on the calling thread; false from it ends the answer
  /// (StopReason::interrupted), and what was written by then is kept. Errors: UsageError for options out of range,
  /// Busy, NotFound (base), Error for what the model's template refuses, in its words.
  Outcome run(const Prompt& prompt, const Writing& writing, const std::function<bool(const Event&)>& on_event = {});

  /// All of the prompt as text, up to where the answer begins.
  std::string text(const Prompt& prompt) const;
  /// How many tokens run() would read of it, were nothing of it known.
  int64_t count(const Prompt& prompt) const;

  /// Reads a text into a copy of state `base` ("" the model as it is), and keeps the result. Its id. Stopped by
  /// on_event, it keeps what was read.
  struct ReadOutcome {
    std::string state;
    int64_t tokens = 0, position = 0, steps = 0;
    double mean_nll = 0;  // NaN: of nothing
    uint64_t bytes = 0;
    bool stopped = false;
  };
  ReadOutcome read(const Owner& owner, const std::string& base, std::string_view text,
                   const std::function<bool(const Event&)>& on_event = {});

  struct StateInfo {
    int64_t position = 0, steps = 0;
    uint64_t bytes = 0;
  };
  /// NotFound if it is not this owner's.
  StateInfo info(const Owner& owner, const std::string& state) const;
  /// A state as a memory file, and back: the id of its copy here. Error if the file is damaged or another model's.
  void download(const Owner& owner, const std::string& state, const std::filesystem::path& file);
  std::string upload(const Owner& owner, const std::filesystem::path& file);
  /// No longer named by anything: its tensors go, once nobody reads from them.
  void forget(const Owner& owner, const std::string& state);

  EngineStats stats() const;
  /// So many bytes of the memory budget are used by others (bodies of requests): states leave RAM for them. Does not
  /// wait.
  void set_outside_bytes(uint64_t bytes);
  /// Takes no more; what runs has so many seconds, then its answers end where they are and are kept.
  void finish(double grace_seconds);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ingrain::serve
