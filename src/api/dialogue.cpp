#include "ingrain/dialogue.h"

#include "api/chat_form.h"
#include "api/dialogue_record.h"
#include "api/parts.h"
#include "base/error.h"
#include "chat/common_prefix.h"
#include "chat/control_tokens.h"
#include "chat/conversation.h"

#include <algorithm>
#include <chrono>

namespace ingrain {
namespace {

constexpr size_t kUndoneByCopy = 16;  // exchanges; those before are taken back by reading again
// Before an answer, a copy is what its first token waits for; fewer tokens than that are sooner read again, if ever.
constexpr size_t kWorthACopy = 256;
constexpr uint64_t kQuicklyCopied = 1 << 20;  // bytes

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Of the tokens `old` that gave way to `now`, how many `now` does not read again at its beginning: what was dropped.
int64_t dropped_of(std::span<const int32_t> old, std::span<const int32_t> now) {
  for (size_t same = std::min(old.size(), now.size()); same > 0; --same)
    if (std::equal(old.end() - static_cast<std::ptrdiff_t>(same), old.end(), now.begin()))
      return static_cast<int64_t>(old.size() - same);
  return static_cast<int64_t>(old.size());
}

using Copy = std::shared_ptr<const Memory>;

}  // namespace

struct Dialogue::State {
  struct Before {
    Copy memory;
    TokenLog log;
    chat::Conversation conversation;
    bool open;
  };

  Memory memory;
  DialogueOptions options;
  int64_t base;  // the memory's position when the dialogue began
  chat::Conversation conversation;
  TokenLog log;
  bool open = false;                          // the last answer's turn was ended by a limit
  std::optional<chat::Conversation> pending;  // the conversation before what was said since the last answer
  std::vector<Exchange> exchanges;            // what undo() takes back; not those that set_messages() brought
  std::map<size_t, Copy> copies;              // by the log's size: to go back to
  std::string aside;                          // for the next answer

  /// What scores() made of the state `before` by reading `prompt`: an answer to the same need not read it again.
  struct Heard {
    TokenLog before;
    std::vector<int32_t> prompt, read;
    HowRead how;
    Copy memory;
    TokenLog log;
  };
  std::optional<Heard> heard;

  State(Memory from, DialogueOptions how)
      : memory(std::move(from)),
        options(how),
        base(memory.position()),
        conversation(chat_form(memory.model(), options.special)) {
    if (options.keep > 0) copies[0] = std::make_shared<const Memory>(memory);
  }

  const tokenizer::Tokenizer& tokenizer() const { return memory.model().parts().tokenizer(); }

  std::vector<int32_t> tokens_of(const chat::Rendering& rendering) const {
    std::vector<int32_t> out = chat::encode(tokenizer(), rendering);
    // A template writes its own beginning.
    const int64_t bos = memory.state().network().config.bos_id;
    if (!conversation.has_template() && base == 0 && bos >= 0) out.insert(out.begin(), static_cast<int32_t>(bos));
    return out;
  }

  /// The conversation as the next answer sees it.
  chat::Conversation with_aside() const {
    if (aside.empty() || conversation.size() == 0) return conversation;
    chat::Conversation out = conversation;
    out.add("system", aside);
    nlohmann::ordered_json said = out.marked_messages().back();
    nlohmann::ordered_json messages = conversation.marked_messages();
    nlohmann::ordered_json& last = messages.back();
    if (conversation.has_template() && last.contains("content") && last["content"].is_string()) {
      last["content"] = said["content"].get<std::string>() + "\n\n" + last["content"].get<std::string>();
    } else {
      messages.insert(messages.end() - 1, std::move(said));
    }
    out.restore(std::move(messages));
    return out;
  }

  /// The answer as a message: what the model wrote as text is text, a control token is one.
  chat::Rendering message_of(const Generated& generated) const {
    if (generated.reason == StopReason::stop_string) return {{generated.text, true}};
    std::span<const int32_t> tokens = generated.tokens;
    if (generated.reason == StopReason::end_of_text) tokens = tokens.first(tokens.size() - 1);
    return chat::pieces_of_answer(tokenizer(), conversation.control(), tokens);
  }

  static HowRead how_read(Learn learn, bool written) {
    if (learn == Learn::off) return HowRead::unlearnt;
    return written && learn == Learn::input ? HowRead::passed_over : HowRead::learnt;
  }

  static ReaderOptions reading(HowRead how) {
    ReaderOptions out;
    out.learn = how != HowRead::unlearnt;
    out.written = how == HowRead::passed_over;
    return out;
  }

  /// The memory as it is, copied unless that was done before: after an answer, so that no question waits for it.
  Copy copy_now() {
    if (const auto found = copies.find(log.size()); found != copies.end()) return found->second;
    const Copy out = std::make_shared<const Memory>(memory);
    if (options.keep > 0) copies[log.size()] = out;
    return out;
  }

  /// Keeps a copy to go back to, if there is room.
  void keep_copy() {
    const uint64_t bytes = memory.bytes();
    if (bytes > options.keep / 4) return;
    copy_now();
    while (copies.size() > 2 && copies.size() * bytes > options.keep) copies.erase(std::next(copies.begin()));
  }

  /// Back to `size` tokens of the log, or to a copy before it; what lies between is to be read again.
  void go_back(size_t size) {
    auto copy = copies.upper_bound(size);
    const auto boundaries = memory.boundaries();
    const auto boundary = std::upper_bound(boundaries.begin(), boundaries.end(), base + static_cast<int64_t>(size));
    const bool by_copy = copy != copies.begin(),
               by_boundary = boundary != boundaries.begin() && *std::prev(boundary) >= base;
    const size_t at_copy = by_copy ? std::prev(copy)->first : 0;
    const size_t at_boundary = by_boundary ? static_cast<size_t>(*std::prev(boundary) - base) : 0;
    if (by_boundary && (!by_copy || at_boundary > at_copy)) {
      memory.rewind(*std::prev(boundary));
      log.cut(at_boundary);
    } else {
      require(
          by_copy,
          "the model's template changes what the memory has read of this conversation, and no copy of the memory is "
          "kept to go back to; begin a new conversation");
      memory = *std::prev(copy)->second;
      log.cut(at_copy);
    }
    copies.erase(copies.upper_bound(log.size()), copies.end());
  }

  /// Reads `tokens`, the first of which were read before, as `before` says, and are so again. False if that was
  /// stopped.
  bool read(std::span<const int32_t> tokens, std::span<const HowRead> before, HowRead others,
            const std::function<bool()>& keep_going, const std::function<void(const InnerStep&)>& on_step) {
    const auto how_of = [&](size_t at) { return at < before.size() ? before[at] : others; };
    for (size_t i = 0; i < tokens.size();) {
      const HowRead now = how_of(i);
      size_t end = i + 1;
      while (end < tokens.size() && how_of(end) == now) ++end;
      ReaderOptions options_now = reading(now);
      if (keep_going) options_now.keep_going = [&](int64_t) { return keep_going(); };
      options_now.measure_steps = static_cast<bool>(on_step);
      options_now.on_step = on_step;
      const Reading done = Reader(memory, options_now).read(tokens.subspan(i, end - i));
      log.add(tokens.subspan(i, static_cast<size_t>(done.tokens)), now);
      if (done.stopped) return false;
      i = end;
    }
    return true;
  }

  /// Makes the memory one that has read `want`. How many tokens were read for it; nothing if that was stopped.
  std::optional<std::vector<int32_t>> become(std::span<const int32_t> want, const GenerateOptions& how,
                                             const std::function<void(const InnerStep&)>& on_step) {
    chat::CommonPrefix common = chat::common_prefix(tokenizer(), log.tokens, want);
    std::vector<int32_t> tokens;
    std::vector<HowRead> before;
    if (common.read < log.size()) {
      const TokenLog all = log;
      go_back(common.read);
      log.dropped += dropped_of(std::span(all.tokens).subspan(common.read), common.rest);
      tokens.assign(all.tokens.begin() + static_cast<std::ptrdiff_t>(log.size()),
                    all.tokens.begin() + static_cast<std::ptrdiff_t>(common.read));
      before.assign(all.how.begin() + static_cast<std::ptrdiff_t>(log.size()),
                    all.how.begin() + static_cast<std::ptrdiff_t>(common.read));
    }
    tokens.insert(tokens.end(), common.rest.begin(), common.rest.end());
    if (!read(tokens, before, how_read(how.learn, /*written=*/false), how.keep_going, on_step)) return std::nullopt;
    return tokens;
  }

  /// Becomes what scores() has made by reading just this; the tokens read for it.
  std::optional<std::vector<int32_t>> become_heard(Heard&& was, std::span<const int32_t> prompt, HowRead how) {
    if (how != was.how || log != was.before || !std::ranges::equal(prompt, was.prompt)) return std::nullopt;
    memory = *was.memory;
    log = std::move(was.log);
    copies.erase(copies.upper_bound(was.before.common(log)), copies.end());
    return std::move(was.read);
  }

  /// Reads the last question and an answer that was written elsewhere. It is given out already, so nothing stops this.
  void read_exchange(std::span<const int32_t> answer, GenerateOptions how,
                     const std::function<void(const InnerStep&)>& on_step) {
    how.keep_going = {};
    become(tokens_of(conversation.render(/*answer_follows=*/true)), how, on_step);
    keep_copy();
    read(answer, {}, how_read(how.learn, /*written=*/true), {}, on_step);
  }

  /// The messages as they were after the last answer.
  const chat::Conversation& answered() const { return pending ? *pending : conversation; }

  void remember(Before&& was) {
    if (options.keep == 0) return;
    Exchange done{std::move(was.memory), 0, 0, std::move(was.log), was.conversation.marked_messages(), was.open};
    done.same_tokens = done.log.common(log);
    done.log.forget_first(done.same_tokens);
    const auto& now = conversation.marked_messages();
    size_t& same = done.same_messages;
    while (same < std::min(done.messages.size(), now.size()) && done.messages[same] == now[same]) ++same;
    done.messages.erase(done.messages.begin(), done.messages.begin() + static_cast<std::ptrdiff_t>(same));
    exchanges.push_back(std::move(done));
    const size_t room = std::clamp<size_t>(options.keep / std::max<uint64_t>(memory.bytes(), 1), 1, kUndoneByCopy);
    for (size_t i = 0; i + room < exchanges.size(); ++i) exchanges[i].memory.reset();
  }

  /// What was before the last exchange; its memory where a copy is kept.
  Before before_last() const {
    const Exchange& last = exchanges.back();
    Before out{last.memory, log, answered(), last.open};
    out.log.cut(last.same_tokens);
    out.log.append(last.log);
    out.log.dropped = last.log.dropped;
    nlohmann::ordered_json messages = out.conversation.marked_messages();
    messages.erase(messages.begin() + static_cast<std::ptrdiff_t>(last.same_messages), messages.end());
    for (const auto& message : last.messages) messages.push_back(message);
    out.conversation.restore(std::move(messages));
    return out;
  }

  /// Makes the memory one that has read `want`, from the tokens that both begin with. False if that was stopped.
  bool read_again(const TokenLog& want, size_t same, const GenerateOptions& how) {
    go_back(same);
    const size_t first = log.size();
    const std::span<const HowRead> as_before = std::span(want.how).subspan(first);
    if (!read(std::span(want.tokens).subspan(first), as_before, HowRead::learnt, how.keep_going, {})) return false;
    log.dropped = want.dropped;
    return true;
  }

  void become(Before&& was) {
    memory = *was.memory;
    log = std::move(was.log);
    conversation = std::move(was.conversation);
    open = was.open;
    pending.reset();
    copies.erase(copies.upper_bound(log.size()), copies.end());
    if (options.keep > 0) copies[log.size()] = std::move(was.memory);
  }
};

Dialogue::Dialogue(Memory memory, DialogueOptions options)
    : state_(std::make_unique<State>(std::move(memory), options)) {}
Dialogue::Dialogue(Dialogue&&) noexcept = default;
Dialogue& Dialogue::operator=(Dialogue&&) noexcept = default;
Dialogue::~Dialogue() = default;

const Memory& Dialogue::memory() const { return state_->memory; }
int64_t Dialogue::tokens_dropped() const { return state_->log.dropped; }

void Dialogue::say(std::string_view role, std::string_view content) {
  if (!state_->pending) state_->pending = state_->conversation;
  state_->conversation.add(role, content);
}

void Dialogue::set_messages(const std::vector<Message>& messages) {
  if (!state_->pending) state_->pending = state_->conversation;
  state_->conversation.restore(nlohmann::ordered_json::array());
  for (const Message& message : messages) state_->conversation.add(message.role, message.content);
}

std::vector<Message> Dialogue::messages() const {
  std::vector<Message> out;
  for (const auto& message : state_->conversation.messages())
    out.push_back({message.value("role", ""), message.value("content", "")});
  return out;
}

Answer Dialogue::answer(const GenerateOptions& options, const std::function<void(std::string_view)>& on_text,
                        const std::function<void(const InnerStep&)>& on_step) {
  State& s = *state_;
  require_possible(options, s.memory.model());
  const auto start = Clock::now();
  State::Before was{s.copy_now(), s.log, s.answered(), s.open};
  Answer out;
  std::optional<State::Heard> heard = std::exchange(s.heard, std::nullopt);
  std::optional<State> apart;  // what reads the aside
  if (!s.aside.empty()) apart.emplace(s);
  s.aside.clear();
  State& now = apart ? *apart : s;
  try {
    const auto prompt = now.tokens_of(now.with_aside().render(/*answer_follows=*/true));
    std::optional<std::vector<int32_t>> read;
    if (heard && (apart || !on_step))
      read = now.become_heard(*std::move(heard), prompt, State::how_read(options.learn, /*written=*/false));
    if (!read) read = now.become(prompt, options, apart ? std::function<void(const InnerStep&)>() : on_step);
    if (!read) {
      s.become(std::move(was));
      out.reason = StopReason::interrupted;
      return out;
    }
    out.tokens_read = static_cast<int64_t>(read->size());
    out.seconds_reading = seconds_since(start);
    if (!apart && (read->size() >= kWorthACopy || s.memory.bytes() <= kQuicklyCopied)) s.keep_copy();
    GenerateOptions writing = options;
    for (const std::string& stop : s.conversation.stops()) writing.stop.push_back(stop);
    bool begun = false;  // blanks before the answer are read, but not shown
    const auto show = [&](std::string_view text) {
      if (!begun) text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
      begun = begun || !text.empty();
      if (!text.empty() && on_text) on_text(text);
    };
    const Generated generated = generate(now.memory, writing, show, *read);
    out.seconds_writing = seconds_since(start) - out.seconds_reading;
    if (apart)
      s.read_exchange(generated.tokens, options, on_step);
    else
      s.log.add(generated.tokens, State::how_read(options.learn, /*written=*/true));
    s.conversation.add_answer(s.message_of(generated));
    s.open = generated.reason != StopReason::end_of_text;
    out.text = generated.text;
    out.reason = generated.reason;
    out.tokens_written = static_cast<int64_t>(generated.tokens.size());
  } catch (...) {
    s.become(std::move(was));
    throw;
  }
  s.pending.reset();
  s.remember(std::move(was));
  s.keep_copy();
  return out;
}

void Dialogue::aside(std::string_view text) { state_->aside = text; }

std::vector<double> Dialogue::scores(const std::vector<std::string>& answers, const GenerateOptions& options) const {
  state_->heard.reset();
  State now = *state_;
  std::vector<double> out;
  const auto prompt = now.tokens_of(now.with_aside().render(/*answer_follows=*/true));
  auto read = now.become(prompt, options, {});
  require(read.has_value(), "stopped before the question was read");
  for (const std::string& answer : answers) {
    require(!answer.empty(), "an empty answer has no score; leave it out");
    const bool blank = !now.conversation.has_template() && !answer.starts_with(' ');  // "Answer: ..."
    const std::vector<int32_t> tokens = now.memory.model().encode((blank ? " " : "") + answer);
    Memory copy = now.memory;
    double sum = 0;
    for (const float nll :
         Reader(copy, State::reading(State::how_read(options.learn, /*written=*/true))).read(tokens).nll)
      sum -= nll;
    out.push_back(sum);
  }
  state_->heard = State::Heard{.before = state_->log,
                               .prompt = prompt,
                               .read = *std::move(read),
                               .how = State::how_read(options.learn, /*written=*/false),
                               .memory = std::make_shared<const Memory>(std::move(now.memory)),
                               .log = std::move(now.log)};
  return out;
}

bool Dialogue::undo(const GenerateOptions& options) {
  State& s = *state_;
  if (s.exchanges.empty()) return false;
  State::Before was = s.before_last();
  if (!was.memory) {
    State again = s;
    require(again.read_again(was.log, s.exchanges.back().same_tokens, options),
            "stopped before the conversation was read again; it is as it was");
    was.memory = std::make_shared<const Memory>(std::move(again.memory));
    s.copies = std::move(again.copies);
  }
  s.exchanges.pop_back();
  s.become(std::move(was));
  return true;
}

void Dialogue::close() {
  State& s = *state_;
  if (!s.open || s.conversation.size() == 0) return;
  std::vector<int32_t> want;
  try {
    want = s.tokens_of(s.conversation.render(/*answer_follows=*/false));
  } catch (const Error&) {
    return;  // a template may refuse a conversation that ends with an answer
  }
  const chat::CommonPrefix common = chat::common_prefix(s.tokenizer(), s.log.tokens, want);
  const bool learns = s.log.size() == 0 || s.log.how.back() != HowRead::unlearnt;
  const HowRead how = learns ? HowRead::learnt : HowRead::unlearnt;
  if (common.read == s.log.size()) s.read(common.rest, {}, how, {}, {});
  s.open = false;
}

std::string Dialogue::state() const {
  const State& s = *state_;
  return to_json({s.memory.model().fingerprint(), s.base, s.open, s.answered().marked_messages(), s.log, s.exchanges});
}

void Dialogue::restore(std::string_view text, const GenerateOptions& options, const Memory* as_left) {
  State& s = *state_;
  DialogueRecord record;
  try {
    record = parse_dialogue_record(text);
    require(record.model == s.memory.model().fingerprint(), "it belongs to the model {}, this is {}", record.model,
            s.memory.model().fingerprint());
    require(record.base == s.base, "it began at position {}, this memory is at {}", record.base, s.base);
  } catch (const Error& e) {
    fail("the dialogue cannot be restored: {}", e.what());
  }
  TokenLog& log = record.log;
  if (as_left && as_left->position() == s.base + static_cast<int64_t>(log.size()) &&
      as_left->model().fingerprint() == s.memory.model().fingerprint()) {
    s.memory = *as_left;
    s.log = std::move(log);
    s.copies.erase(s.copies.upper_bound(0), s.copies.end());
  } else {
    s.log = {};
    s.log.dropped = log.dropped;
    require(s.read(log.tokens, log.how, HowRead::learnt, options.keep_going, {}),
            "stopped before the conversation was read again");
  }
  s.conversation.restore(std::move(record.messages));
  s.exchanges.clear();
  if (s.options.keep > 0) s.exchanges = std::move(record.exchanges);
  s.open = record.open;
  s.pending.reset();
}

}  // namespace ingrain
