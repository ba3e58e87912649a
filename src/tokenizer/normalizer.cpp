#include "tokenizer/normalizer.h"

#include <utf8proc.h>

#include <optional>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/character_kinds.h"
#include "tokenizer/charsmap.h"
#include "tokenizer/unicode16.h"

namespace ingrain::tokenizer {
namespace {

constexpr size_t kMaxNormalizerSteps = 32;
constexpr size_t kMaxNormalizedBytes = size_t{1} << 31;  // a step may make a text longer

// -- the steps ------------------------------------------------------------------------------------------------

/// Whether a text can be cut before `c` without changing what a normal form makes of both parts: no mark, and no later
/// part of a Hangul syllable.
bool begins_a_cluster(char32_t c) {
  if (c < 0x300) return true;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category != UTF8PROC_CATEGORY_MN && category != UTF8PROC_CATEGORY_MC && category != UTF8PROC_CATEGORY_ME &&
         (c < 0x1160 || c > 0x11FF) && c != 0xFF9E && c != 0xFF9F;
}

/// Where offsets are wanted, the form is taken cluster by cluster, so that each has its own.
TrackedText with_form(const TrackedText& text, NormalForm form) {
  Rewrite out(text);
  if (!text.tracked) {
    if (!text.text.empty()) out.replace(0, text.text.size(), normalize(text.text, form));
  } else {
    for (size_t begin = 0; begin < text.text.size();) {
      size_t end = begin + utf8_step(text.text, begin).length;
      while (end < text.text.size() && !begins_a_cluster(utf8_decode(text.text, end)))
        end += utf8_step(text.text, end).length;
      const std::string_view part = std::string_view(text.text).substr(begin, end - begin);
      const std::string by = normalize(part, form);
      if (by == part)
        out.keep(begin, end);
      else
        out.replace(begin, end, by);
      begin = end;
    }
  }
  TrackedText done = std::move(out).finish();
  done.keeps_beginning = text.keeps_beginning;
  return done;
}

/// Character by character: change(c, by) appends what `c` becomes to `by`; false: it stays.
template <class Change>
TrackedText map_characters(const TrackedText& text, Change&& change) {
  Rewrite out(text);
  std::string by;
  for (size_t i = 0; i < text.text.size();) {
    const size_t next = i + utf8_step(text.text, i).length;
    by.clear();
    if (!change(utf8_decode(text.text, i), by))
      out.keep(i, next);
    else if (by != std::string_view(text.text).substr(i, next - i))
      out.replace(i, next, by);
    else
      out.keep(i, next);
    i = next;
  }
  return std::move(out).finish();
}

bool to_lower(char32_t c, std::string& by) {
  append_lower_case(c, by);
  return true;
}

bool without_marks(char32_t c, std::string&) { return is_combining_mark(c); }

/// Control characters go; what else counts as white space becomes a blank.
bool by_nmt(char32_t c, std::string& by) {
  if ((c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) return true;
  if (c != 0x9 && c != 0xA && c != 0xC && c != 0xD && c != 0x1680 && (c < 0x200B || c > 0x200F) && c != 0x2028 &&
      c != 0x2029 && c != 0x2581 && c != 0xFEFF && c != 0xFFFD)
    return false;
  by.assign(1, ' ');
  return true;
}

TrackedText prepended(const TrackedText& text, std::string_view content) {
  if (text.text.empty()) return text;
  Rewrite out(text);
  out.replace(0, utf8_step(text.text, 0).length, content);
  out.keep(0, text.text.size());
  return std::move(out).finish();
}

TrackedText stripped(const TrackedText& text, bool left, bool right) {
  const std::string_view all = text.text;
  size_t begin = 0, end = all.size();
  while (left && begin < end && is_white_space(utf8_decode(all, begin))) begin += utf8_step(all, begin).length;
  while (right && end > begin) {
    const size_t last = utf8_begin(all, end - 1);
    if (!is_white_space(utf8_decode(all, last))) break;
    end = last;
  }
  if (begin == 0 && end == all.size()) return text;
  Rewrite out(text);
  out.keep(begin, end);
  return std::move(out).finish();
}

/// What is put in stands where the last character that it replaces stood, as in Hugging Face's library.
void put(const TrackedText& text, size_t begin, size_t end, std::string_view by, Rewrite& out) {
  if (begin == end) return out.insert(begin, by);
  out.replace(utf8_begin(text.text, end - 1, begin), end, by);
}

TrackedText replaced(const TrackedText& text, std::string_view pattern, std::string_view by) {
  const std::string_view all = text.text;
  size_t at = pattern.empty() ? all.npos : all.find(pattern);
  if (at == all.npos) return text;
  Rewrite out(text);
  size_t done = 0;
  for (; at != all.npos; at = all.find(pattern, done)) {
    if (at > done) out.keep(done, at);
    put(text, at, at + pattern.size(), by, out);
    done = at + pattern.size();
    require(out.written().size() <= kMaxNormalizedBytes, "the tokenizer's normalizer makes the text too long");
  }
  if (done < all.size()) out.keep(done, all.size());
  return std::move(out).finish();
}

TrackedText replaced(const TrackedText& text, const SplitRegex& pattern, std::string_view by, RegexScratch& scratch) {
  const std::string_view all = text.text;
  const std::optional<std::string> stand_ins = with_stand_ins(all);  // same offsets
  const std::string_view shape = stand_ins ? std::string_view(*stand_ins) : all;
  Rewrite out(text);
  size_t done = 0, from = 0;
  std::optional<size_t> last_end;
  SplitRegex::Match match;
  while (!all.empty() && from <= all.size() && pattern.find(shape, from, scratch, match)) {
    if (match.begin == match.end && last_end == match.end) {  // an empty match behind a match is none
      from += from < all.size() ? utf8_step(all, from).length : 1;
      continue;
    }
    if (match.begin > done) out.keep(done, match.begin);
    put(text, match.begin, match.end, by, out);
    done = from = match.end;
    last_end = match.end;
    require(out.written().size() <= kMaxNormalizedBytes, "the tokenizer's normalizer makes the text too long");
  }
  if (!last_end) return text;
  if (done < all.size()) out.keep(done, all.size());
  return std::move(out).finish();
}

}  // namespace

Normalizer::Normalizer(const std::vector<NormalizerStep>& steps, const std::string& source) {
  const std::string where = source + ": field 'normalizer'";
  require(steps.size() <= kMaxNormalizerSteps, "{} has {} steps; at most {} are accepted", where, steps.size(),
          kMaxNormalizerSteps);
  for (const NormalizerStep& spec : steps) {
    Step step{spec, nullptr, nullptr};
    if (spec.kind == NormalizerStep::Kind::replace_regex)
      step.regex = std::make_shared<SplitRegex>(spec.pattern, Dialect::oniguruma, where);
    if (spec.kind == NormalizerStep::Kind::charsmap) {
      step.charsmap = std::make_shared<Charsmap>(spec.content, where);
      step.spec.content.clear();
    }
    steps_.push_back(std::move(step));
  }
}

void Normalizer::apply(TrackedText& text, RegexScratch& scratch, bool continues) const {
  using Kind = NormalizerStep::Kind;
  for (const auto& [spec, regex, charsmap] : steps_) {
    switch (spec.kind) {
      case Kind::form: text = with_form(text, spec.form); break;
      case Kind::lowercase: text = map_characters(text, to_lower); break;
      case Kind::prepend:
        if (!continues) text = prepended(text, spec.content);
        break;
      case Kind::replace: text = replaced(text, spec.pattern, spec.content); break;
      case Kind::replace_regex: text = replaced(text, *regex, spec.content, scratch); break;
      case Kind::strip: text = stripped(text, spec.left, spec.right); break;
      case Kind::strip_accents: text = map_characters(text, without_marks); break;
      case Kind::nmt: text = map_characters(text, by_nmt); break;
      case Kind::charsmap: text = charsmap->apply(text); break;
    }
  }
}

std::string Normalizer::normalize(std::string_view text) const {
  RegexScratch scratch;
  TrackedText tracked(text, false, 0);
  apply(tracked, scratch);
  return std::move(tracked.text);
}

}  // namespace ingrain::tokenizer
