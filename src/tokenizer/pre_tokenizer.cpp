#include "tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/unicode16.h"

namespace ingrain::tokenizer {
namespace {

constexpr size_t kMaxSteps = 32;

}  // namespace

PreTokenizer::PreTokenizer(const std::vector<PreTokenizerStep>& steps, const std::string& source) {
  require(steps.size() <= kMaxSteps, "{}: field 'pre_tokenizer' has {} steps; at most {} are accepted", source,
          steps.size(), kMaxSteps);
  for (const PreTokenizerStep& spec : steps) {
    Step step{spec, {}};
    if (spec.kind == PreTokenizerStep::Kind::regex)
      step.regex.emplace_back(spec.pattern, spec.dialect, source + ": field 'pre_tokenizer'");
    steps_.push_back(std::move(step));
  }
}

void PreTokenizer::split(std::string_view text, RegexScratch& scratch, const Sink& sink) const {
  if (text.empty()) return;
  const std::optional<std::string> shape = with_stand_ins(text);
  run(0, {text, shape ? std::string_view(*shape) : text}, scratch, sink);
}

// The matches of a step's pattern and the gaps between them, in order; together they cover the piece.
// An empty match directly behind the last match is none; elsewhere it separates what is on both sides.
template <class Visit>
void PreTokenizer::visit_matches(const Step& step, Piece piece, RegexScratch& scratch, Visit&& visit) {
  const bool literal = step.spec.kind == PreTokenizerStep::Kind::literal;
  const size_t size = piece.text.size();
  const bool on_match = !step.spec.invert;
  size_t done = 0, from = 0;
  std::optional<size_t> last_end;
  while (from <= size) {
    SplitRegex::Match match;
    if (literal) {
      const size_t begin = step.spec.pattern.empty() ? piece.text.npos : piece.text.find(step.spec.pattern, from);
      if (begin == piece.text.npos) break;
      match = {begin, begin + step.spec.pattern.size()};
    } else if (!step.regex.front().find(piece.shape, from, scratch, match)) {
      break;
    }
    if (match.begin == match.end && last_end == match.end) {
      from += from < size ? utf8_step(piece.text, from).length : 1;
      continue;
    }
    if (match.begin > done) visit(Span{done, match.begin, !on_match});
    visit(Span{match.begin, match.end, on_match});
    done = from = match.end;
    last_end = match.end;
  }
  if (done < size) visit(Span{done, size, !on_match});
}

std::vector<PreTokenizer::Span> PreTokenizer::merge_spans(const std::vector<Span>& spans, SplitBehavior behavior) {
  std::vector<Span> out;
  bool previous_match = false;
  const auto join = [&](const Span& span, bool into_last) {
    if (into_last && !out.empty()) {
      out.back().begin = std::min(out.back().begin, span.begin);
      out.back().end = std::max(out.back().end, span.end);
    } else {
      out.push_back(span);
    }
    previous_match = span.match;
  };
  if (behavior == SplitBehavior::contiguous) {
    for (const Span& span : spans) join(span, span.match == previous_match);
  } else if (behavior == SplitBehavior::merged_with_previous) {
    for (const Span& span : spans) join(span, span.match && !previous_match);
  } else {
    for (size_t i = spans.size(); i-- > 0;) join(spans[i], spans[i].match && !previous_match);
    std::reverse(out.begin(), out.end());
  }
  return out;
}

void PreTokenizer::run(size_t index, Piece piece, RegexScratch& scratch, const Sink& sink) const {
  if (piece.text.empty()) return;
  if (index == steps_.size()) return sink(piece.text);
  const Step& step = steps_[index];
  if (step.spec.kind == PreTokenizerStep::Kind::prefix_space) {
    if (piece.text.starts_with(' ')) return run(index + 1, piece, scratch, sink);
    const std::string text = " " + std::string(piece.text), shape = " " + std::string(piece.shape);
    return run(index + 1, {text, shape}, scratch, sink);
  }
  const auto pass_on = [&](const Span& span) {
    const size_t length = span.end - span.begin;
    run(index + 1, {piece.text.substr(span.begin, length), piece.shape.substr(span.begin, length)}, scratch, sink);
  };
  if (step.spec.behavior == SplitBehavior::isolated) return visit_matches(step, piece, scratch, pass_on);
  if (step.spec.behavior == SplitBehavior::removed) {
    return visit_matches(step, piece, scratch, [&](const Span& span) {
      if (!span.match) pass_on(span);
    });
  }
  std::vector<Span> spans;
  visit_matches(step, piece, scratch, [&](const Span& span) { spans.push_back(span); });
  for (const Span& span : merge_spans(spans, step.spec.behavior)) pass_on(span);
}

}  // namespace ingrain::tokenizer
