// The filter urlize: addresses in a text become links. What is one is decided as jinja2 decides it.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include "base/utf8.h"

#include <algorithm>
#include <array>

namespace ingrain::jinja {
namespace {

using Letters = std::u32string_view;

std::u32string letters_of(std::string_view text) {
  std::u32string out;
  for (size_t at = 0; at < text.size();) out += next_character(text, at);
  return out;
}

bool is_word(char32_t c) { return c == '_' || is_alnum(c); }

/// As Python's patterns see a letter where case does not count: four letters outside of ASCII are as these.
char32_t folded(char32_t c) {
  if (c == 0x130 || c == 0x131) return 'i';
  if (c == 0x17F) return 's';
  if (c == 0x212A) return 'k';
  return c < 0x80 ? static_cast<char32_t>(ascii_lower(static_cast<char>(c))) : c;
}

bool starts_folded(Letters text, size_t at, std::string_view what) {
  if (text.size() - at < what.size()) return false;
  return std::equal(what.begin(), what.end(), text.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char wanted, char32_t c) { return folded(c) == static_cast<char32_t>(wanted); });
}

template <typename Is>
size_t run_of(Letters text, size_t at, Is is) {
  size_t end = at;
  while (end < text.size() && is(text[end])) ++end;
  return end - at;
}

bool is_basic_letter(char32_t c) { return folded(c) >= 'a' && folded(c) <= 'z'; }
bool is_label(char32_t c) { return is_word(c) || c == '%' || c == '-'; }
bool is_hex(char32_t c) { return is_decimal(c) || (folded(c) >= 'a' && folded(c) <= 'f'); }

/// Whether a port (or none) and then a path, query or fragment (or nothing) end the text from `at` on.
bool ends_address(Letters text, size_t at) {
  if (at < text.size() && text[at] == ':') {
    const size_t digits = run_of(text, at + 1, is_decimal);
    if (digits < 1 || digits > 5) return false;
    at += 1 + digits;
  }
  return at == text.size() || text[at] == '/' || text[at] == '?' || text[at] == '#';
}

/// After a scheme or "www.": labels and a top level of 2 to 63 letters, or an international one.
bool has_domain(Letters text, size_t at) {
  while (true) {
    const size_t letters = run_of(text, at, is_basic_letter);
    if (letters >= 2 && letters <= 63 && ends_address(text, at + letters)) return true;
    if (starts_folded(text, at, "xn--")) {
      const size_t coded = run_of(text, at + 4, [](char32_t c) { return is_word(c) || c == '%'; });
      if (coded >= 2 && coded <= 59 && ends_address(text, at + 4 + coded)) return true;
    }
    const size_t label = run_of(text, at, is_label);
    if (label == 0 || at + label >= text.size() || text[at + label] != '.') return false;
    at += label + 1;
  }
}

/// Without a scheme: labels of 2 to 63 characters and one of the old top levels.
bool has_plain_domain(Letters text) {
  static constexpr std::array<std::string_view, 8> kTop = {"com", "net", "int", "edu", "gov", "org", "info", "mil"};
  size_t at = 0;
  while (true) {
    const size_t label = run_of(text, at, is_label);
    if (label < 2 || label > 63 || at + label >= text.size() || text[at + label] != '.') return false;
    at += label + 1;
    for (const std::string_view top : kTop)
      if (starts_folded(text, at, top) && ends_address(text, at + top.size())) return true;
  }
}

bool has_ip4(Letters text, size_t at) {
  for (int part = 0; part < 4; ++part) {
    if (part > 0 && (at >= text.size() || text[at++] != '.')) return false;
    const size_t digits = run_of(text, at, is_decimal);
    if (digits < 1 || digits > 3) return false;
    at += digits;
  }
  return ends_address(text, at);
}

/// [, two groups with colons, one to six with or without, ].
bool has_ip6(Letters text, size_t at) {
  if (at >= text.size() || text[at++] != '[') return false;
  size_t groups = 0;
  for (; at < text.size() && text[at] != ']'; ++groups) {
    const size_t digits = std::min<size_t>(run_of(text, at, is_hex), 4);
    at += digits;
    const bool colon = at < text.size() && text[at] == ':';
    if ((groups < 2 && !colon) || (digits == 0 && !colon)) return false;
    at += colon;
  }
  return at < text.size() && groups >= 2 && groups <= 8 && ends_address(text, at + 1);
}

bool is_web_address(Letters text) {
  const size_t scheme = starts_folded(text, 0, "http://") ? 7 : starts_folded(text, 0, "https://") ? 8 : 0;
  if (scheme > 0 && (has_domain(text, scheme) || has_ip4(text, scheme) || has_ip6(text, scheme))) return true;
  return (starts_folded(text, 0, "www.") && has_domain(text, 4)) || has_plain_domain(text);
}

bool is_mail_address(Letters text) {
  const size_t at = text.rfind('@');
  if (at == text.npos || at == 0) return false;
  const Letters domain = text.substr(at + 1);
  const size_t dot = domain.rfind('.');
  if (domain.empty() || !is_word(domain[0]) || dot == domain.npos || dot + 1 == domain.size()) return false;
  for (size_t i = 0; i < domain.size(); ++i)
    if (!is_word(domain[i]) && (i > dot || (domain[i] != '.' && domain[i] != '-'))) return false;
  return true;
}

size_t count_of(std::string_view text, std::string_view what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) ++count;
  return count;
}

/// A word without the brackets and stops around it, which are no part of an address.
struct Trimmed {
  std::string_view head, middle, tail;
};

Trimmed trimmed(std::string_view word) {
  size_t start = 0, end = word.size();
  while (start < end) {
    const std::string_view rest = word.substr(start);
    if (rest[0] == '(' || rest[0] == '<')
      ++start;
    else if (rest.starts_with("&lt;"))
      start += 4;
    else
      break;
  }
  while (end > start) {
    const std::string_view rest = word.substr(start, end - start);
    if (std::string_view(")>.,\n").find(rest.back()) != std::string_view::npos)
      --end;
    else if (rest.ends_with("&gt;"))
      end -= 4;
    else
      break;
  }
  // Brackets that were opened inside are closed inside. Middle and tail stay neighbours in the word.
  static constexpr std::array<std::array<std::string_view, 2>, 3> kPairs = {{{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}}};
  for (const auto& [open, close] : kPairs) {
    const std::string_view middle = word.substr(start, end - start);
    const size_t opened = count_of(middle, open);
    if (opened <= count_of(middle, close)) continue;
    for (size_t moved = std::min(opened, count_of(word.substr(end), close)); moved > 0; --moved)
      end = word.find(close, end) + close.size();
  }
  return {word.substr(0, start), word.substr(start, end - start), word.substr(end)};
}

/// Links in the words of a text that is escaped already.
class Linker {
 public:
  Linker(Runtime& runtime, const Parameters& p) : runtime_(runtime), limit_(p[0]) {
    if (limit_ && limit_->is_none()) limit_ = nullptr;
    const std::string rel = rel_of(p);
    attributes_ = " rel=\"" + escape(rel) + "\"";
    if (p[2] && truth(*p[2])) attributes_ += " target=\"" + *escaped(runtime, *p[2]).as_text() + "\"";
    if (p[4] && !p[4]->is_none()) read_schemes(*p[4]);
  }

  std::string link(std::string_view word) {
    const auto [head, middle, tail] = trimmed(word);
    runtime_.charge(64 + word.size() * (24 + schemes_.size()));
    const std::string out = std::string(head) + linked(middle) + std::string(tail);
    runtime_.charge(out.size());
    return out;
  }

 private:
  Runtime& runtime_;
  const Value* limit_;
  std::string attributes_;
  std::vector<std::string> schemes_;

  /// The words of `rel`, "noopener", and "nofollow" if asked for: each once, in order.
  static std::string rel_of(const Parameters& p) {
    std::vector<std::string_view> words = {"noopener"};
    if (p.flag(1, false)) words.emplace_back("nofollow");
    if (p[3] && truth(*p[3]))
      for (const std::string_view word : split(*p.text(3), std::nullopt, -1)) words.push_back(word);
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    std::string out;
    for (const std::string_view word : words) out += (out.empty() ? "" : " ") + std::string(word);
    return out;
  }

  /// What is read once is read by the check, and there are none.
  void read_schemes(const Value& given) {
    for (const Value& scheme : iterate(runtime_, given)) {
      require(scheme.as_text() != nullptr, "urlize: a scheme must be a string, not {}", type_name(scheme));
      const std::u32string text = letters_of(*scheme.as_text());
      const size_t name = run_of(text, 0, [](char32_t c) { return is_word(c) || c == '.' || c == '+' || c == '-'; });
      const std::u32string rest = text.substr(name);
      require(name >= 2 && (rest == U":" || rest == U":/" || rest == U"://"), "urlize: '{}' is no scheme of addresses",
              *scheme.as_text());
      schemes_.push_back(*scheme.as_text());
    }
    if (given.as_generator() || given.as_loop()) schemes_.clear();
  }

  std::string shortened(std::string_view address) {
    const auto size = static_cast<int64_t>(count_characters(address));
    if (!limit_ || !ordered(runtime_, ">", size, *limit_)) return std::string(address);
    return *slice(runtime_, Value(address), None{}, *limit_, None{}).as_text() + "...";
  }

  std::string linked(std::string_view middle) {
    const std::u32string letters = letters_of(middle);
    if (is_web_address(letters)) {
      const bool scheme = middle.starts_with("https://") || middle.starts_with("http://");
      return fmt::format("<a href=\"{}{}\"{}>{}</a>", scheme ? "" : "https://", middle, attributes_, shortened(middle));
    }
    const std::string_view address = middle.substr(std::min<size_t>(middle.size(), 7));
    if (middle.starts_with("mailto:") && is_mail_address(Letters(letters).substr(7)))
      return fmt::format("<a href=\"{}\">{}</a>", middle, address);
    const bool mail = !middle.starts_with("www.") && !middle.starts_with('@') && middle.find(':') == middle.npos &&
                      is_mail_address(letters);
    if (mail) return fmt::format("<a href=\"mailto:{0}\">{0}</a>", middle);
    std::string out(middle);
    for (const std::string& scheme : schemes_)
      if (out != scheme && out.starts_with(scheme)) out = fmt::format("<a href=\"{0}\"{1}>{0}</a>", out, attributes_);
    return out;
  }
};

Value filter_urlize(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("urlize", a, {"trim_url_limit", "nofollow", "target", "rel", "extra_schemes"});
  Linker linker(rt, p);
  const Value escaped_text = escaped(rt, x);
  const std::string_view text = *escaped_text.as_text();
  std::string out;
  size_t start = 0, at = 0;
  while (at < text.size()) {
    const size_t before = at;
    if (!is_space(next_character(text, at))) continue;
    out += linker.link(text.substr(start, before - start));
    out.append(text, before, at - before);
    start = at;
  }
  out += linker.link(text.substr(start));
  return Value(std::move(out), rt.autoescape);
}

}  // namespace

const FilterTable& link_filters() {
  static const FilterTable table = {{"urlize", filter_urlize}};
  return table;
}

}  // namespace ingrain::jinja
