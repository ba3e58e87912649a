#include "serve/grammar/tool_watch.h"

#include "serve/grammar/tool_constraint.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

constexpr size_t kLongestOpening = 1024;  // bytes of a Llama call up to its name

/// What all walks of one constraint share.
struct WatchPlan {
  ToolFormat format = ToolFormat::none;
  bool parallel = true;
  std::vector<std::string> names;
  std::shared_ptr<const TokenTrie> trie;
  /// What follows a call's mark (tagged, under ""), or its name (llama3, under the name).
  std::map<std::string, GrammarWalk> calls;
  /// Tokens of text in which a mark, or a name, may end: all others can only come before or after one.
  std::vector<int32_t> closing, with_mark;
};

class CallWatch final : public Constraint {
 public:
  CallWatch(std::shared_ptr<const WatchPlan> plan, AnswerReader::Options options)
      : plan_(std::move(plan)), reader_(std::move(options)) {}

  void allow(std::span<uint64_t> bits) override {
    if (call_) return call_->allow(bits);
    std::fill(bits.begin(), bits.end(), ~uint64_t{0});
    const std::vector<int32_t>& tokens = begun().empty() ? plan_->with_mark : plan_->closing;
    for (const int32_t id : tokens) {
      const std::string_view bytes = plan_->trie->bytes(id);
      const Begins begins = begins_with(bytes);
      if (begins.call && !begins.rest.empty() && !GrammarWalk(*begins.call).accept_bytes(begins.rest))
        bits[static_cast<size_t>(id) / 64] &= ~(uint64_t{1} << id % 64);
    }
  }
  bool may_end() const override { return !call_; }
  bool complete() const override { return over_; }

  void accept(int32_t token) override {
    std::string_view bytes = plan_->trie->bytes(token);
    if (bytes.empty()) bytes = plan_->trie->spelling(token, kMarks);
    if (!call_) {
      const Begins begins = begins_with(bytes);
      reader_.push(bytes);
      if (!begins.call || reader_.place() != AnswerReader::Place::call) return;
      call_ = std::make_unique<GrammarWalk>(*begins.call);
      if (!begins.rest.empty() && !call_->accept_bytes(begins.rest)) call_.reset();  // then it is no call
      return;
    }
    call_->accept(token);
    reader_.push(bytes);
    if (!call_->complete()) return;
    call_.reset();
    over_ = !plan_->parallel;
  }

  std::unique_ptr<Constraint> clone() const override {
    auto out = std::make_unique<CallWatch>(plan_, AnswerReader::Options{});
    out->reader_ = reader_;
    if (call_) out->call_ = std::make_unique<GrammarWalk>(*call_);
    out->over_ = over_;
    return out;
  }

 private:
  struct Begins {
    const GrammarWalk* call = nullptr;  // at its beginning, if one begins
    std::string rest = {};              // what was written of it already
  };

  /// The end of what was written that may become a mark, or a Llama call up to its name.
  std::string begun() const {
    const AnswerReader::Place place = reader_.place();
    if (place == AnswerReader::Place::thought) return {};
    if (plan_->format == ToolFormat::llama3) {
      if (place != AnswerReader::Place::call || reader_.call_text().size() > kLongestOpening) return {};
      const std::string text(reader_.call_text());
      return llama_opening(text, plan_->names).kind == LlamaOpening::Kind::maybe ? text : std::string();
    }
    if (place == AnswerReader::Place::call) return {};
    const std::string_view waiting = reader_.waiting();
    for (size_t n = std::min(waiting.size(), kCallMark.size() - 1); n > 0; --n)
      if (waiting.ends_with(kCallMark.substr(0, n))) return std::string(kCallMark.substr(0, n));
    return {};
  }

  /// Whether a call has begun once these bytes are written, too.
  Begins begins_with(std::string_view bytes) const {
    const AnswerReader::Place place = reader_.place();
    if (place == AnswerReader::Place::thought) return begins_after_thoughts(bytes);
    const std::string text = begun() + std::string(bytes);
    if (plan_->format == ToolFormat::llama3) {
      const bool may = place == AnswerReader::Place::call || place == AnswerReader::Place::undecided;
      LlamaOpening opening;
      if (may) opening = llama_opening(text, plan_->names);
      if (opening.kind != LlamaOpening::Kind::call) return {};
      return {&plan_->calls.at(opening.name), text.substr(opening.end)};
    }
    const size_t mark = place == AnswerReader::Place::call ? text.npos : text.find(kCallMark);
    if (mark == text.npos) return {};
    return {&plan_->calls.at(""), text.substr(mark + kCallMark.size())};
  }

  /// A token that ends thoughts and begins a call at once.
  Begins begins_after_thoughts(std::string_view bytes) const {
    const size_t mark = bytes.find(kCallMark);
    if (mark == bytes.npos) return {};
    AnswerReader reader = reader_;
    reader.push(bytes.substr(0, mark));
    if (reader.place() == AnswerReader::Place::thought || plan_->format == ToolFormat::llama3) return {};
    return {&plan_->calls.at(""), std::string(bytes.substr(mark + kCallMark.size()))};
  }

  std::shared_ptr<const WatchPlan> plan_;
  AnswerReader reader_;
  std::unique_ptr<GrammarWalk> call_;  // while one is being written
  bool over_ = false;
};

/// Reads JSON's words one after another, with white space between them.
class WordScan {
 public:
  explicit WordScan(std::string_view text) : text_(text) {}
  enum class Found { no, maybe, yes };
  Found take(std::string_view word) {
    const std::string_view rest = left();
    if (rest.starts_with(word)) {
      at_ += word.size();
      return Found::yes;
    }
    return word.starts_with(rest) ? Found::maybe : Found::no;
  }
  std::string_view left() {
    at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
    return text_.substr(at_);
  }
  size_t at() const { return at_; }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

LlamaOpening llama_opening(std::string_view text, const std::vector<std::string>& names) {
  using Kind = LlamaOpening::Kind;
  WordScan scan(text);
  std::vector<std::string_view> words = {"{"};
  if (scan.take("{") == WordScan::Found::yes && scan.left().starts_with("\"t"))
    words.insert(words.end(), {"\"type\"", ":", "\"function\"", ","});
  words.insert(words.end(), {"\"name\"", ":"});
  scan = WordScan(text);
  for (const std::string_view word : words)
    if (const auto found = scan.take(word); found != WordScan::Found::yes)
      return {found == WordScan::Found::maybe ? Kind::maybe : Kind::none};
  bool maybe = false;
  for (const std::string& name : names) {
    WordScan here = scan;
    const auto found = here.take('"' + name + '"');
    if (found == WordScan::Found::yes) return {Kind::call, name, here.at()};
    maybe = maybe || found == WordScan::Found::maybe;
  }
  return {maybe ? Kind::maybe : Kind::none};
}

std::shared_ptr<const Constraint> watch_calls(const CallRules& rules, const std::shared_ptr<const TokenTrie>& trie) {
  auto plan = std::make_shared<WatchPlan>();
  plan->format = rules.reader.tools;
  plan->parallel = rules.parallel;
  plan->names = rules.reader.names;
  plan->trie = trie;
  nlohmann::ordered_json tools = rules.tools;
  for (auto& tool : tools) {
    auto& function = tool["function"];
    const bool strict = std::ranges::any_of(rules.strict, [&](const auto& name) { return function["name"] == name; });
    if (!strict && function.contains("parameters") && !can_be_grammar(function["parameters"]))
      function["parameters"] = {{"type", "object"}};
  }
  if (plan->format == ToolFormat::llama3)
    for (const std::string& name : plan->names)
      plan->calls.emplace(name, call_after_opening(plan->format, {tools, rules.schema_at}, name, trie));
  else
    plan->calls.emplace("", call_after_opening(plan->format, {tools, rules.schema_at}, "", trie));
  const char last = plan->format == ToolFormat::llama3 ? '"' : '>';
  for (size_t id = 0; id < trie->vocab_size(); ++id) {
    const std::string_view bytes = trie->bytes(static_cast<int32_t>(id));
    if (bytes.find(last) != bytes.npos) plan->closing.push_back(static_cast<int32_t>(id));
    if (bytes.find(kCallMark) != bytes.npos) plan->with_mark.push_back(static_cast<int32_t>(id));
  }
  AnswerReader::Options reader = rules.reader;
  reader.certain = true;
  return std::make_shared<CallWatch>(std::move(plan), std::move(reader));
}

}  // namespace ingrain::serve
