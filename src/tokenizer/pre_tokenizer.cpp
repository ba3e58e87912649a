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

void PreTokenizer::split(const Fragment& fragment, RegexScratch& scratch, const Sink& sink) const {
  if (fragment.text.empty()) return;
  const std::optional<std::string> shape = steps_.empty() ? std::nullopt : with_stand_ins(fragment.text);
  run(0,
      {fragment.text, shape ? std::string_view(*shape) : fragment.text, fragment.origins, fragment.first,
       fragment.continues},
      scratch, sink);
}

// The matches of a step's pattern and the gaps between them, in order; together they cover the piece.
// An empty match directly behind the last match is none; elsewhere it separates what is on both sides.
template <class Visit>
void PreTokenizer::visit_matches(const Step& step, const Piece& piece, RegexScratch& scratch, Visit&& visit) {
  const bool literal = step.spec.kind != PreTokenizerStep::Kind::regex;
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
  if (index == steps_.size()) return sink(piece.text, piece.origins);
  const PreTokenizerStep& spec = steps_[index].spec;
  if (spec.kind == PreTokenizerStep::Kind::metaspace) return metaspace(index, piece, scratch, sink);
  if (spec.kind == PreTokenizerStep::Kind::prefix_space) {
    // Behind other steps it is put before every piece, not before the text.
    if (piece.text.starts_with(' ') || (piece.continues && index == 0)) return run(index + 1, piece, scratch, sink);
    return with_prefix(index + 1, piece, " ", scratch, sink);
  }
  cut(index, piece, spec.behavior, scratch, sink);
}

/// The later steps, on the piece with something before it that comes from where its first character does.
void PreTokenizer::with_prefix(size_t index, const Piece& piece, std::string_view prefix, RegexScratch& scratch,
                               const Sink& sink) const {
  const std::string text = std::string(prefix) + std::string(piece.text),
                    shape = std::string(prefix) + std::string(piece.shape);
  std::vector<Origin> origins;
  if (piece.origins) {
    const uint32_t first = utf8_step(piece.text, 0).length;
    origins.assign(prefix.size(), {piece.origins[0].begin, piece.origins[first - 1].end});
    origins.insert(origins.end(), piece.origins, piece.origins + piece.text.size());
  }
  run(index, {text, shape, piece.origins ? origins.data() : nullptr, piece.first, piece.continues}, scratch, sink);
}

/// Every blank becomes the sign; the sign before the piece, where the scheme says so; then cuts before every sign.
void PreTokenizer::metaspace(size_t index, const Piece& piece, RegexScratch& scratch, const Sink& sink) const {
  const PreTokenizerStep& spec = steps_[index].spec;
  const std::string& sign = spec.pattern;
  const bool begins_with_sign = piece.text.starts_with(sign) || piece.text.starts_with(' ');
  const bool prefix = !begins_with_sign && !piece.continues &&
                      (spec.prepend == PrependScheme::always || (spec.prepend == PrependScheme::first && piece.first));
  std::string text, shape;
  std::vector<Origin> origins;
  const auto put_sign = [&](size_t begin, size_t end) {
    text += sign;
    shape += sign;
    if (piece.origins)
      origins.insert(origins.end(), sign.size(), {piece.origins[begin].begin, piece.origins[end - 1].end});
  };
  if (prefix) put_sign(0, utf8_step(piece.text, 0).length);
  for (size_t i = 0; i < piece.text.size();) {
    const size_t blank = std::min(piece.text.find(' ', i), piece.text.size());
    text += piece.text.substr(i, blank - i);
    shape += piece.shape.substr(i, blank - i);
    if (piece.origins) origins.insert(origins.end(), piece.origins + i, piece.origins + blank);
    if (blank < piece.text.size()) put_sign(blank, blank + 1);
    i = blank + 1;
  }
  const Piece done{text, shape, piece.origins ? origins.data() : nullptr, piece.first, piece.continues};
  if (spec.split)
    cut(index, done, SplitBehavior::merged_with_next, scratch, sink);
  else
    run(index + 1, done, scratch, sink);
}

void PreTokenizer::cut(size_t index, const Piece& piece, SplitBehavior behavior, RegexScratch& scratch,
                       const Sink& sink) const {
  const auto pass_on = [&](const Span& span) { run(index + 1, piece.part(span.begin, span.end), scratch, sink); };
  const Step& step = steps_[index];
  if (behavior == SplitBehavior::isolated) return visit_matches(step, piece, scratch, pass_on);
  if (behavior == SplitBehavior::removed) {
    return visit_matches(step, piece, scratch, [&](const Span& span) {
      if (!span.match) pass_on(span);
    });
  }
  std::vector<Span> spans;
  visit_matches(step, piece, scratch, [&](const Span& span) { spans.push_back(span); });
  for (const Span& span : merge_spans(spans, behavior)) pass_on(span);
}

}  // namespace ingrain::tokenizer
