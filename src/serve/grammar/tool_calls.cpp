#include "serve/grammar/tool_calls.h"

#include "serve/grammar/call_object.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace ingrain::serve {
namespace {

constexpr std::string_view kPythonTag = "<|python_tag|>";
constexpr std::string_view kWhite = " \t\r\n";
constexpr size_t kLongestCall = 1 << 20;
constexpr int kDeepestArguments = 200;  // a grammar writes beyond 64 levels only what must be

bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }
size_t first_ink(std::string_view text, size_t at = 0) {
  return std::min(text.find_first_not_of(kWhite, at), text.size());
}

/// Length without white space at the end.
size_t inked(std::string_view text) { return text.find_last_not_of(kWhite) + 1; }  // npos + 1 is 0

/// Length of the end of `text` that may yet become `mark`, with the white space before it.
size_t undecided(std::string_view text, std::string_view mark) {
  size_t keep = 0;
  for (size_t n = std::min(text.size(), mark.size() - 1); n > 0 && keep == 0; --n)
    if (text.ends_with(mark.substr(0, n))) keep = n;
  return text.size() - inked(text.substr(0, text.size() - keep));
}

/// Whether `text`, which may go on, may yet begin with `mark`.
bool may_become(std::string_view text, std::string_view mark) {
  return text.size() < mark.size() && mark.starts_with(text);
}

}  // namespace

ToolFormat tool_format(std::string_view source) {
  if (has(source, kCallMark)) return has(source, "<function=") ? ToolFormat::none : ToolFormat::tagged;  // XML within
  if (has(source, "<|start_header_id|>") && has(source, "\"parameters\": ")) return ToolFormat::llama3;
  return ToolFormat::none;
}

std::string call_opening(ToolFormat format, std::string_view name) {
  return fmt::format("{{\"name\": {}, \"{}\": ", nlohmann::json(name).dump(),
                     format == ToolFormat::tagged ? "arguments" : "parameters");
}

bool knows_thoughts(std::string_view source, const tokenizer::Tokenizer& tokenizer) {
  if (has(source, kThinkEndMark)) return true;
  const auto added = tokenizer.added_tokens();
  return std::any_of(added.begin(), added.end(), [](const auto& token) { return token.content == kThinkEndMark; });
}

bool begins_in_thoughts(std::string_view prompt) { return prompt.substr(0, inked(prompt)).ends_with(kThinkMark); }

bool AnswerReader::ObjectScan::read(std::string_view text) {
  constexpr std::string_view kOutside = "{}[]:,\"-+.0123456789eEtrufalsn \t\r\n";
  for (; !done && at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      in_string = escaped || c != '"';
      escaped = !escaped && c == '\\';
      continue;
    }
    if (kOutside.find(c) == kOutside.npos || (depth == 0 && c != '{')) return false;
    if (c == '"') in_string = true;
    if ((c == '{' || c == '[') && ++depth > deepest) return false;
    if (c == '}' || c == ']') done = --depth == 0;
  }
  return true;
}

AnswerReader::AnswerReader(Options options)
    : options_(std::move(options)), state_(options_.in_thoughts ? State::thought : State::beginning) {}

std::vector<AnswerPart> AnswerReader::push(std::string_view text) {
  Parts out;
  waiting_ += text;
  while (step(out, false)) {}
  return out;
}

std::vector<AnswerPart> AnswerReader::finish() {
  Parts out;
  while (step(out, true)) {}
  return out;
}

void AnswerReader::give(Parts& out, AnswerPart::Kind kind, size_t bytes) {
  if (bytes == 0) return;
  if (out.empty() || out.back().kind != kind) out.push_back({kind, {}});
  out.back().text.append(waiting_, 0, bytes);
  waiting_.erase(0, bytes);
}

bool AnswerReader::step(Parts& out, bool ended) {
  switch (state_) {
    case State::beginning: return step_beginning(ended);
    case State::thought: return step_thought(out, ended);
    case State::after_thought:
      waiting_.erase(0, first_ink(waiting_));
      if (waiting_.empty()) return false;
      options_.thoughts = false;
      state_ = State::beginning;
      return true;
    case State::text: return step_text(out, ended);
    case State::call: return step_call(out, ended);
    case State::arguments: return step_arguments(out);
    case State::tail: return step_tail(out, ended);
    case State::between: return step_between(ended);
  }
  return false;
}

bool AnswerReader::step_beginning(bool ended) {
  const size_t ink = first_ink(waiting_);
  const std::string_view text = std::string_view(waiting_).substr(ink);
  const bool llama = options_.tools == ToolFormat::llama3;
  if (options_.thoughts && text.starts_with(kThinkMark)) {
    waiting_.erase(0, ink + kThinkMark.size());
    state_ = State::thought;
    return true;
  }
  if (!ended && ((options_.thoughts && may_become(text, kThinkMark)) || (llama && may_become(text, kPythonTag))))
    return false;
  const bool tagged = llama && text.starts_with(kPythonTag);
  state_ = llama && (tagged || text.starts_with('{')) ? State::call : State::text;
  call_at_ = ink;
  object_begin_ = ink + (tagged ? kPythonTag.size() : 0);
  scan_ = {.at = object_begin_};
  return !waiting_.empty();
}

bool AnswerReader::step_thought(Parts& out, bool ended) {
  if (!thought_given_) waiting_.erase(0, first_ink(waiting_));
  const size_t close = waiting_.find(kThinkEndMark);
  const bool closed = close != waiting_.npos;
  const std::string_view thought = std::string_view(waiting_).substr(0, close);
  // White space at the end waits for what comes; at the end of all it is left out.
  const size_t bytes = closed || ended ? inked(thought) : thought.size() - undecided(thought, kThinkEndMark);
  thought_given_ |= bytes > 0;
  give(out, AnswerPart::Kind::thought, bytes);
  if (closed) {
    waiting_.erase(0, close - bytes + kThinkEndMark.size());
    state_ = State::after_thought;
  } else if (ended) {
    waiting_.clear();
  }
  return closed;
}

bool AnswerReader::step_text(Parts& out, bool ended) {
  if (options_.tools != ToolFormat::tagged) {
    give(out, AnswerPart::Kind::text, waiting_.size());
    return false;
  }
  const size_t mark = waiting_.find(kCallMark);
  if (mark == waiting_.npos) {
    give(out, AnswerPart::Kind::text, waiting_.size() - (ended ? 0 : undecided(waiting_, kCallMark)));
    return false;
  }
  const size_t bytes = inked(std::string_view(waiting_).substr(0, mark));
  give(out, AnswerPart::Kind::text, bytes);
  call_at_ = mark - bytes;
  object_begin_ = call_at_ + kCallMark.size();
  scan_ = {.at = object_begin_};
  state_ = State::call;
  return true;
}

/// What begins at the mark is text. After it there may be a call yet, if calls have marks.
bool AnswerReader::no_call(Parts& out) {
  const bool tagged = options_.tools == ToolFormat::tagged;
  give(out, AnswerPart::Kind::text, tagged ? call_at_ + kCallMark.size() : waiting_.size());
  if (!tagged) options_.tools = ToolFormat::none;
  state_ = State::text;
  return !waiting_.empty();
}

/// A call that is one for certain: its arguments begin.
bool AnswerReader::step_opening(Parts& out) {
  const std::string_view text = std::string_view(waiting_).substr(first_ink(waiting_, object_begin_));
  for (const std::string& name : options_.names) {
    const std::string opening = call_opening(options_.tools, name);
    if (!text.starts_with(opening) || text.size() == opening.size() || text[opening.size()] != '{') continue;
    out.push_back({AnswerPart::Kind::call, name});
    waiting_.erase(0, waiting_.size() - text.size() + opening.size());
    scan_ = {.deepest = kDeepestArguments};
    state_ = State::arguments;
    return true;
  }
  return false;
}

bool AnswerReader::step_arguments(Parts& out) {
  const bool json = scan_.read(waiting_);
  give(out, AnswerPart::Kind::arguments, std::exchange(scan_.at, 0));
  if (json && !scan_.done) return false;
  state_ = State::tail;
  return true;
}

/// What closes the call, after its arguments.
bool AnswerReader::step_tail(Parts& out, bool ended) {
  size_t end = first_ink(waiting_);
  if (end < waiting_.size() && waiting_[end] == '}')
    end = first_ink(waiting_, end + 1);
  else if (end == waiting_.size() && !ended)
    return false;
  if (options_.tools == ToolFormat::tagged) {
    const std::string_view rest = std::string_view(waiting_).substr(end);
    if (rest.starts_with(kCallEndMark))
      end += kCallEndMark.size();
    else if (may_become(rest, kCallEndMark) && !ended)
      return false;
    else if (may_become(rest, kCallEndMark))
      end = waiting_.size();
  }
  out.push_back({AnswerPart::Kind::call_end, {}});
  waiting_.erase(0, end);
  state_ = State::between;
  return true;
}

AnswerReader::Place AnswerReader::place() const {
  switch (state_) {
    case State::beginning:
    case State::after_thought: return Place::undecided;
    case State::thought: return Place::thought;
    case State::text:
    case State::between: return Place::text;
    case State::call:
    case State::arguments:
    case State::tail: return Place::call;
  }
  return Place::text;
}

bool AnswerReader::step_call(Parts& out, bool ended) {
  if (options_.certain && scan_.depth < 2 && step_opening(out)) return true;
  const bool tagged = options_.tools == ToolFormat::tagged;
  if (scan_.depth == 0 && !scan_.done) object_at_ = scan_.at = first_ink(waiting_, scan_.at);
  if (!scan_.read(waiting_) || waiting_.size() > kLongestCall) return no_call(out);
  if (!scan_.done) return ended ? no_call(out) : false;
  size_t end = scan_.at;
  if (tagged) {
    end = first_ink(waiting_, end);
    const std::string_view rest = std::string_view(waiting_).substr(end);
    if (rest.starts_with(kCallEndMark))
      end += kCallEndMark.size();
    else if (!may_become(rest, kCallEndMark))
      return no_call(out);
    else if (!ended)
      return false;
    else
      end = waiting_.size();
  }
  const auto call = read_call_object(
      std::string_view(waiting_).substr(object_at_, scan_.at - object_at_),
      tagged ? std::vector<std::string_view>{"arguments"} : std::vector<std::string_view>{"parameters", "arguments"},
      /*strict=*/!tagged);
  const auto& names = options_.names;
  if (!call || (!tagged && std::find(names.begin(), names.end(), call->name) == names.end())) return no_call(out);
  out.push_back({AnswerPart::Kind::call, call->name});
  out.push_back({AnswerPart::Kind::arguments, call->arguments});
  out.push_back({AnswerPart::Kind::call_end, {}});
  waiting_.erase(0, end);
  state_ = State::between;
  return true;
}

bool AnswerReader::step_between(bool ended) {
  const bool llama = options_.tools == ToolFormat::llama3;
  waiting_.erase(0, first_ink(waiting_));
  const size_t next = first_ink(waiting_, llama && waiting_.starts_with(';') ? 1 : 0);
  if (next == waiting_.size()) {
    if (ended) waiting_.clear();
    return false;
  }
  if (llama && waiting_[next] == '{') {
    call_at_ = 0;
    object_begin_ = next;
    scan_ = {.at = next};
    state_ = State::call;
    return true;
  }
  if (llama) options_.tools = ToolFormat::none;
  state_ = State::text;
  return true;
}

}  // namespace ingrain::serve
