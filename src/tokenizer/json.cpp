// tokenizer.json to a TokenizerSpec.
#include <nlohmann/json.hpp>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "base/text.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/files_beside.h"
#include "tokenizer/vocabulary.h"

namespace ingrain::tokenizer {
namespace {

using Json = nlohmann::json;
constexpr uint64_t kMaxFileBytes = 256u << 20;
constexpr int kMaxNesting = 8;  // of Sequences inside Sequences

void read_vocabulary(const Field& model, TokenizerSpec& spec) {
  const Field vocab = model.at("vocab");
  if (!vocab.json().is_object()) vocab.refuse("must be an object of tokens and ids");
  for (const auto& [written, value] : vocab.json().items()) {
    const auto id = static_cast<size_t>(vocab.member(written, value).integer(0, kMaxTokenId - 1));
    require(!written.empty(), "{}: the empty string is not a token", vocab.name());
    if (id >= spec.tokens.size()) spec.tokens.resize(id + 1);
    require(spec.tokens[id].empty(), "{}: '{}' and '{}' have the same id {}", vocab.name(), printable(spec.tokens[id]),
            printable(written), id);
    spec.tokens[id] = written;
  }
}

void read_merges(const Field& model, TokenizerSpec& spec) {
  for (const Field& entry : model.at("merges").elements()) {
    if (entry.json().is_string()) {
      const std::string text = entry.string();
      const size_t space = text.find(' ');
      require(space != text.npos && text.find(' ', space + 1) == text.npos,
              "{} is '{}'; two tokens with one space between them are expected", entry.name(), printable(text));
      spec.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
      continue;
    }
    const std::vector<Field> pair = entry.elements();
    require(pair.size() == 2, "{} has {} elements; two tokens are expected", entry.name(), pair.size());
    spec.merges.emplace_back(pair[0].string(), pair[1].string());
  }
}

void read_model(const Field& model, TokenizerSpec& spec) {
  const std::string type = model.string("type").value_or("BPE");
  require(type == "BPE", "{} has the type '{}'; only byte-level BPE is supported", model.name(), printable(type));
  require(!model.boolean("byte_fallback").value_or(false),
          "{}: 'byte_fallback' is set; only byte-level BPE, which needs none, is "
          "supported",
          model.name());
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
    require(model.string(affix).value_or("").empty(), "{}: '{}' is set, which is not supported", model.name(), affix);
  if (const auto dropout = model.find("dropout"))
    require(dropout->json().is_number() && dropout->json().get<double>() == 0,
            "{}: dropout makes ids random; set it to null", dropout->name());
  spec.ignore_merges = model.boolean("ignore_merges").value_or(false);
  spec.fuse_unk = model.boolean("fuse_unk").value_or(false);
  spec.unk_token = model.string("unk_token");
  read_vocabulary(model, spec);
  read_merges(model, spec);
}

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
  const Field pattern = field.at("pattern");
  const bool literal = pattern.find("String").has_value();
  step.kind = literal ? PreTokenizerStep::Kind::literal : PreTokenizerStep::Kind::regex;
  step.pattern = pattern.at(literal ? "String" : "Regex").string();
  step.behavior = read_behavior(field.at("behavior"));
  step.invert = field.boolean("invert").value_or(false);
  return step;
}

// Appends the steps of `field`; true if they end with ByteLevel, after which nothing may follow.
bool read_pre_tokenizer(const Field& field, int depth, std::vector<PreTokenizerStep>& steps) {
  require(depth < kMaxNesting, "{} is nested more than {} deep", field.name(), kMaxNesting);
  const std::string type = field.at("type").string();
  if (type == "Sequence") {
    bool ended = false;
    for (const Field& part : field.at("pretokenizers").elements()) {
      require(!ended, "{}: steps after ByteLevel are not supported", part.name());
      ended = read_pre_tokenizer(part, depth + 1, steps);
    }
    return ended;
  }
  if (type == "ByteLevel") {
    if (field.boolean("add_prefix_space").value_or(true))
      steps.push_back({.kind = PreTokenizerStep::Kind::prefix_space});
    if (field.boolean("use_regex").value_or(true)) {
      const auto gpt2 = named_pre_tokenizer("gpt2", field.name());
      steps.insert(steps.end(), gpt2.begin(), gpt2.end());
    }
    return true;
  }
  if (type == "Digits") {
    steps.push_back(digits_step(field.boolean("individual_digits").value_or(false)));
    return false;
  }
  require(type == "Split", "{} has the type '{}'; ByteLevel, Split, Digits and Sequence are supported", field.name(),
          printable(type));
  steps.push_back(read_split(field));
  return false;
}

void read_normalizer(const Field& field, int depth, TokenizerSpec& spec) {
  require(depth < kMaxNesting, "{} is nested more than {} deep", field.name(), kMaxNesting);
  const std::string type = field.at("type").string();
  if (type == "Sequence") {
    for (const Field& part : field.at("normalizers").elements()) read_normalizer(part, depth + 1, spec);
    return;
  }
  require(!spec.normal_form, "{}: more than one normalizer is not supported", field.name());
  if (type == "NFC")
    spec.normal_form = NormalForm::nfc;
  else if (type == "NFD")
    spec.normal_form = NormalForm::nfd;
  else if (type == "NFKC")
    spec.normal_form = NormalForm::nfkc;
  else if (type == "NFKD")
    spec.normal_form = NormalForm::nfkd;
  else
    fail("{} has the type '{}'; NFC, NFD, NFKC and NFKD are supported", field.name(), printable(type));
}

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

void read_post_processor(const Field& field, int depth, TokenizerSpec& spec) {
  require(depth < kMaxNesting, "{} is nested more than {} deep", field.name(), kMaxNesting);
  const std::string type = field.at("type").string();
  if (type == "ByteLevel") return;  // changes offsets only
  if (type == "TemplateProcessing") return read_template(field, spec);
  require(type == "Sequence", "{} has the type '{}'; TemplateProcessing, ByteLevel and Sequence are supported",
          field.name(), printable(type));
  for (const Field& part : field.at("processors").elements()) read_post_processor(part, depth + 1, spec);
}

void read_decoder(const Field& field, int depth) {
  require(depth < kMaxNesting, "{} is nested more than {} deep", field.name(), kMaxNesting);
  const std::string type = field.at("type").string();
  if (type == "ByteLevel") return;
  require(type == "Sequence", "{} has the type '{}'; only ByteLevel is supported", field.name(), printable(type));
  for (const Field& part : field.at("decoders").elements()) read_decoder(part, depth + 1);
}

void read_added_tokens(const Field& list, TokenizerSpec& spec) {
  for (const Field& field : list.elements())
    spec.added_tokens.push_back(
        read_added_token(field, static_cast<int32_t>(field.at("id").integer(0, kMaxTokenId - 1))));
}

}  // namespace

Tokenizer Tokenizer::from_json(std::string_view json, const FilesBeside& beside, const std::string& source,
                               int32_t rows) {
  const Json document = parse_json(json, source);
  const Field root(document, source);
  TokenizerSpec spec;
  spec.source = source;
  read_model(root.at("model"), spec);
  if (const auto list = root.find("added_tokens")) read_added_tokens(*list, spec);
  if (const auto field = root.find("normalizer")) read_normalizer(*field, 0, spec);
  const bool byte_level = read_pre_tokenizer(root.at("pre_tokenizer"), 0, spec.pre_tokenizer);
  require(byte_level, "{}: field 'pre_tokenizer' does not end with ByteLevel; only byte-level BPE is supported",
          source);
  if (const auto field = root.find("post_processor")) read_post_processor(*field, 0, spec);
  if (const auto field = root.find("decoder")) read_decoder(*field, 0);
  read_files_beside(beside, spec);
  drop_tokens_without_a_row(rows, spec);
  return Tokenizer(spec);
}

Tokenizer Tokenizer::load(const std::filesystem::path& path, int32_t rows) {
  const bool folder = std::filesystem::is_directory(path);
  const std::filesystem::path file = folder ? path / "tokenizer.json" : path;
  const std::string json = read_file(file, kMaxFileBytes);
  const auto text_beside = [&](const char* name) {
    const std::filesystem::path beside = file.parent_path() / name;
    return std::filesystem::exists(beside) ? read_file(beside, kMaxFileBytes) : std::string();
  };
  const std::string config = text_beside("tokenizer_config.json"), map = text_beside("special_tokens_map.json"),
                    added = text_beside("added_tokens.json");
  return from_json(json, {config, map, added}, file.string(), rows);
}

}  // namespace ingrain::tokenizer
