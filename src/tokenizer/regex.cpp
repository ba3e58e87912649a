#include "tokenizer/regex.h"

#include <pcre2.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace ingrain::tokenizer {
namespace {

constexpr size_t kMaxPatternBytes = 16 << 10;
constexpr uint32_t kMinMatchLimit = 100'000, kHeapLimitKib = 256 << 10, kMaxParentheses = 250;
constexpr size_t kJitStackBytes = 8 << 20;

std::string message_of(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

template <auto free_function>
struct Pcre2Free {
  template <class T>
  void operator()(T* pointer) const {
    free_function(pointer);
  }
};

struct RegexScratch::State {
  std::unique_ptr<pcre2_match_context, Pcre2Free<pcre2_match_context_free>> context{
      pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_match_data, Pcre2Free<pcre2_match_data_free>> data{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_jit_stack, Pcre2Free<pcre2_jit_stack_free>> stack{
      pcre2_jit_stack_create(32 << 10, kJitStackBytes, nullptr)};

  State() {
    require(context && data, "out of memory for matching split patterns");
    pcre2_set_heap_limit(context.get(), kHeapLimitKib);
    if (stack) pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

RegexScratch::RegexScratch() : state_(std::make_unique<State>()) {}
RegexScratch::RegexScratch(RegexScratch&&) noexcept = default;
RegexScratch& RegexScratch::operator=(RegexScratch&&) noexcept = default;
RegexScratch::~RegexScratch() = default;

SplitRegex::SplitRegex(std::string_view pattern, Dialect dialect, std::string where) : where_(std::move(where)) {
  require(pattern.size() <= kMaxPatternBytes, "{}: the split pattern has {} bytes; at most {} are accepted", where_,
          pattern.size(), kMaxPatternBytes);
  const std::string translated = translate_pattern(pattern, dialect, where_);
  const std::unique_ptr<pcre2_compile_context, Pcre2Free<pcre2_compile_context_free>> context(
      pcre2_compile_context_create(nullptr));
  require(context != nullptr, "{}: out of memory for the split pattern", where_);
  pcre2_set_parens_nest_limit(context.get(), kMaxParentheses);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
  // In Oniguruma's default syntax ^ and $ match at lines; in Rust's, $ matches at the very end only.
  options |= dialect == Dialect::oniguruma ? PCRE2_MULTILINE : PCRE2_DOLLAR_ENDONLY;
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), options, &error,
                                   &offset, context.get());
  require(code != nullptr, "{}: the split pattern '{}' is not a regular expression: {} (at byte {})", where_,
          printable(translated), code ? "" : message_of(error), offset);
  code_ = {code, [](const pcre2_code* c) { pcre2_code_free(const_cast<pcre2_code*>(c)); }};
  // Where the system forbids writable code pages, the interpreter gives the same answers.
  jit_ = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
}

bool SplitRegex::find(std::string_view subject, size_t from, RegexScratch& scratch, Match& match) const {
  RegexScratch::State& state = *scratch.state_;
  // Honest patterns step through a text a few times (trailing spaces twice); exponential ones never end.
  const size_t limit = std::max<size_t>(kMinMatchLimit, 32 * (subject.size() - from));
  pcre2_set_match_limit(state.context.get(), static_cast<uint32_t>(std::min<size_t>(limit, UINT32_MAX)));
  const auto* text = reinterpret_cast<PCRE2_SPTR>(subject.data());
  int result = PCRE2_ERROR_JIT_STACKLIMIT;
  if (jit_)
    result = pcre2_jit_match(code_.get(), text, subject.size(), from, PCRE2_NO_UTF_CHECK, state.data.get(),
                             state.context.get());
  if (result == PCRE2_ERROR_JIT_STACKLIMIT)
    result = pcre2_match(code_.get(), text, subject.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, state.data.get(),
                         state.context.get());
  if (result == PCRE2_ERROR_NOMATCH) return false;
  require(result >= 0, "{}: the split pattern fails on this text: {}", where_, message_of(result));
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(state.data.get());
  // \K inside a look-around can place the match's beginning anywhere; such a match is no match for a split.
  require(offsets[0] >= from && offsets[0] <= offsets[1],
          "{}: the split pattern matches outside its own match; "
          "remove \\K from look-arounds",
          where_);
  match = {offsets[0], offsets[1]};
  return true;
}

}  // namespace ingrain::tokenizer
