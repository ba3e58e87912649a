// A tokenizer.json's "normalizer", "pre_tokenizer", "post_processor" and "decoder".
#include <nlohmann/json.hpp>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "tokenizer/base64.h"
#include "tokenizer/json_parts.h"

namespace ingrain::tokenizer {
namespace {

constexpr size_t kMostStripped = 1024;

void refuse_type(const Field& field, const std::string& type, std::string_view supported) {
  fail("{} has the type '{}'; {} are supported", field.name(), printable(type), supported);
}

// -- normalizer -----------------------------------------------------------------------------------------------

NormalizerStep read_charsmap(const Field& field) {
  const Field text = field.at("precompiled_charsmap");
  auto bytes = read_base64(text.string());
  if (!bytes) text.refuse("must be base64");
  return {.kind = NormalizerStep::Kind::charsmap, .content = *std::move(bytes)};
}

void read_normalizer_step(const Field& field, int depth, TokenizerSpec& spec) {
  using Kind = NormalizerStep::Kind;
  require(depth < kMaxNesting, "{} is nested more than {} deep", field.name(), kMaxNesting);
  constexpr std::pair<std::string_view, NormalForm> kForms[] = {
      {"NFC", NormalForm::nfc}, {"NFD", NormalForm::nfd}, {"NFKC", NormalForm::nfkc}, {"NFKD", NormalForm::nfkd}};
  constexpr std::pair<std::string_view, Kind> kPlain[] = {
      {"Lowercase", Kind::lowercase}, {"StripAccents", Kind::strip_accents}, {"Nmt", Kind::nmt}};
  const std::string type = field.at("type").string();
  if (type == "Sequence") {
    for (const Field& part : field.at("normalizers").elements()) read_normalizer_step(part, depth + 1, spec);
    return;
  }
  for (const auto& [name, form] : kForms)
    if (type == name) return spec.normalizer.push_back({.kind = Kind::form, .form = form});
  for (const auto& [name, kind] : kPlain)
    if (type == name) return spec.normalizer.push_back({.kind = kind});
  if (type == "Prepend") {
    spec.normalizer.push_back({.kind = Kind::prepend, .content = field.at("prepend").string()});
  } else if (type == "Replace") {
    const JsonPattern pattern = read_pattern(field.at("pattern"));
    spec.normalizer.push_back({.kind = pattern.is_regex ? Kind::replace_regex : Kind::replace,
                               .pattern = pattern.text,
                               .content = field.at("content").string()});
  } else if (type == "Strip") {
    spec.normalizer.push_back(
        {.kind = Kind::strip, .left = field.at("strip_left").boolean(), .right = field.at("strip_right").boolean()});
  } else if (type == "Precompiled") {
    spec.normalizer.push_back(read_charsmap(field));
  } else {
    refuse_type(
        field, type,
        "NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, StripAccents, Nmt, Precompiled and Sequence");
  }
}

// -- pre-tokenizer --------------------------------------------------------------------------------------------

SplitBehavior read_behavior(const Field& field) {
  const std::string name = field.string();
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  fail("{} is '{}'; Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous are expected", field.name(),
       printable(name));
}

PreTokenizerStep read_split(const Field& field) {
  PreTokenizerStep step;
  const JsonPattern pattern = read_pattern(field.at("pattern"));
  step.kind = pattern.is_regex ? PreTokenizerStep::Kind::regex : PreTokenizerStep::Kind::literal;
  step.pattern = pattern.text;
  step.behavior = read_behavior(field.at("behavior"));
  step.invert = field.boolean("invert").value_or(false);
  return step;
}

PreTokenizerStep read_metaspace(const Field& field) {
  return {.kind = PreTokenizerStep::Kind::metaspace,
          .pattern = read_metaspace_sign(field),
          .prepend = read_prepend_scheme(field),
          .split = field.boolean("split").value_or(true)};
}

// Appends the steps of `field`; true if they end with ByteLevel, after which nothing may follow. `prefix_space`, if it
// is there, has the last word about ByteLevel's.
bool read_pre_tokenizer_step(const Field& field, std::optional<bool> prefix_space, int depth,
                             std::vector<PreTokenizerStep>& steps) {
  require(depth < kMaxNesting, "{} is nested more than {} deep", field.name(), kMaxNesting);
  const std::string type = field.at("type").string();
  if (type == "Sequence") {
    bool ended = false;
    for (const Field& part : field.at("pretokenizers").elements()) {
      require(!ended, "{}: steps after ByteLevel are not supported", part.name());
      ended = read_pre_tokenizer_step(part, prefix_space, depth + 1, steps);
    }
    return ended;
  }
  if (type == "ByteLevel") {
    const bool in_file = field.boolean("add_prefix_space").value_or(true);
    if (prefix_space.value_or(in_file)) steps.push_back({.kind = PreTokenizerStep::Kind::prefix_space});
    if (field.boolean("use_regex").value_or(true)) {
      const auto gpt2 = named_pre_tokenizer("gpt2", field.name());
      steps.insert(steps.end(), gpt2.begin(), gpt2.end());
    }
    return true;
  }
  if (type == "Digits") {
    steps.push_back(digits_step(field.boolean("individual_digits").value_or(false)));
  } else if (type == "Metaspace") {
    steps.push_back(read_metaspace(field));
  } else if (type == "WhitespaceSplit") {
    steps.push_back(white_space_step());
  } else if (type == "Whitespace") {
    steps.push_back(
        {.pattern = R"(\w+|[^\w\s]+)", .behavior = SplitBehavior::removed, .invert = true, .dialect = Dialect::rust});
  } else if (type == "Split") {
    steps.push_back(read_split(field));
  } else {
    refuse_type(field, type, "ByteLevel, Split, Digits, Metaspace, Whitespace, WhitespaceSplit and Sequence");
  }
  return false;
}

// -- post-processor -------------------------------------------------------------------------------------------

void read_template(const Field& field, TokenizerSpec& spec) {
  bool seen_text = false;
  for (const Field& part : field.at("single").elements()) {
    if (part.find("Sequence")) {
      require(!seen_text, "{}: the text occurs twice in the template", part.name());
      seen_text = true;
      continue;
    }
    const std::string name = part.at("SpecialToken").at("id").string();
    auto& side = seen_text ? spec.template_after : spec.template_before;
    for (const Field& id : field.at("special_tokens").at(name).at("ids").elements())
      side.push_back(static_cast<int32_t>(id.integer(0, kMaxTokenId - 1)));
  }
}

// -- decoder --------------------------------------------------------------------------------------------------

DecoderStep read_strip(const Field& field, bool fused) {
  DecoderStep step{.kind = fused ? DecoderStep::Kind::strip_text : DecoderStep::Kind::strip,
                   .content = field.at("content").string()};
  if (count_utf8(step.content) != 1) field.at("content").refuse("must be one character");
  step.at_beginning = static_cast<size_t>(field.at("start").integer(0, kMostStripped));
  step.at_end = static_cast<size_t>(field.at("stop").integer(0, kMostStripped));
  return step;
}

// What was read of a decoder so far.
struct DecoderState {
  bool bytes = false, fused = false, ended = false;
};

// The order is what all published decoders have: tokens one by one, bytes, all as one, its ends.
void read_decoder_step(const Field& field, int depth, DecoderState& state, TokenizerSpec& spec) {
  using Kind = DecoderStep::Kind;
  require(depth < kMaxNesting, "{} is nested more than {} deep", field.name(), kMaxNesting);
  const std::string type = field.at("type").string();
  if (type == "Sequence") {
    for (const Field& part : field.at("decoders").elements()) read_decoder_step(part, depth + 1, state, spec);
    return;
  }
  if (type == "ByteLevel") {
    require(spec.alphabet == Alphabet::bytes, "{} is ByteLevel, the pre-tokenizer is not; both or none is supported",
            field.name());
    return;
  }
  require(!state.ended && (!state.fused || type == "Strip"), "{} ({}) stands behind Fuse; one Strip may", field.name(),
          printable(type));
  require(!state.bytes || state.fused || type == "Fuse" || type == "Metaspace",
          "{} ({}) stands behind ByteFallback; Fuse and Metaspace may", field.name(), printable(type));
  if (type == "Fuse") {
    state.fused = true;
  } else if (type == "ByteFallback") {
    state.bytes = true;
    spec.decoder.push_back({.kind = Kind::byte_fallback});
  } else if (type == "Strip") {
    spec.decoder.push_back(read_strip(field, state.fused));
    state.ended = state.fused;
  } else if (type == "Metaspace") {
    spec.decoder.push_back({.kind = Kind::metaspace,
                            .pattern = read_metaspace_sign(field),
                            .at_beginning = read_prepend_scheme(field) == PrependScheme::never ? size_t{0} : 1});
  } else if (type == "Replace") {
    const JsonPattern pattern = read_pattern(field.at("pattern"));
    require(!pattern.is_regex && !pattern.text.empty(),
            "{}: a decoder's Replace with a regular expression is not "
            "supported",
            field.name());
    spec.decoder.push_back({.kind = Kind::replace, .pattern = pattern.text, .content = field.at("content").string()});
  } else {
    refuse_type(field, type, "ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip and Sequence");
  }
  require(spec.alphabet == Alphabet::characters,
          "{} ({}) stands beside a ByteLevel pre-tokenizer, whose decoder is "
          "ByteLevel",
          field.name(), printable(type));
}

}  // namespace

JsonPattern read_pattern(const Field& field) {
  const bool literal = field.find("String").has_value();
  return {field.at(literal ? "String" : "Regex").string(), !literal};
}

std::string read_metaspace_sign(const Field& field) {
  const std::string sign = field.at("replacement").string();
  if (count_utf8(sign) != 1) field.at("replacement").refuse("must be one character");
  return sign;
}

PrependScheme read_prepend_scheme(const Field& field) {
  const bool prefix = field.boolean("add_prefix_space").value_or(true);
  const std::string name = field.string("prepend_scheme").value_or(prefix ? "always" : "never");
  require(prefix || name == "never", "{}: 'add_prefix_space' and 'prepend_scheme' contradict each other", field.name());
  if (name == "first") return PrependScheme::first;
  if (name == "always") return PrependScheme::always;
  if (name == "never") return PrependScheme::never;
  field.at("prepend_scheme").refuse("must be first, always or never");
}

void read_normalizer(const Field& field, TokenizerSpec& spec) { read_normalizer_step(field, 0, spec); }

void read_pre_tokenizer(const Field& field, std::optional<bool> prefix_space, TokenizerSpec& spec) {
  const bool bytes = read_pre_tokenizer_step(field, prefix_space, 0, spec.pre_tokenizer);
  spec.alphabet = bytes ? Alphabet::bytes : Alphabet::characters;
}

void read_post_processor(const Field& field, int depth, TokenizerSpec& spec) {
  require(depth < kMaxNesting, "{} is nested more than {} deep", field.name(), kMaxNesting);
  const std::string type = field.at("type").string();
  if (type == "ByteLevel") return;  // changes offsets only
  if (type == "TemplateProcessing") return read_template(field, spec);
  require(type == "Sequence", "{} has the type '{}'; TemplateProcessing, ByteLevel and Sequence are supported",
          field.name(), printable(type));
  for (const Field& part : field.at("processors").elements()) read_post_processor(part, depth + 1, spec);
}

void read_decoder(const Field& field, TokenizerSpec& spec) {
  DecoderState state;
  read_decoder_step(field, 0, state, spec);
}

}  // namespace ingrain::tokenizer
