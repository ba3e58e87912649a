// tokenizer.json to a TokenizerSpec.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_kind.h"
#include "base/files.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "tokenizer/files_beside.h"
#include "tokenizer/json_parts.h"
#include "tokenizer/tokenizer.h"

namespace ingrain::tokenizer {
namespace {

constexpr uint64_t kMaxFileBytes = 256u << 20;

void read_added_tokens(const Field& list, TokenizerSpec& spec) {
  for (const Field& field : list.elements())
    spec.added_tokens.push_back(
        read_added_token(field, static_cast<int32_t>(field.at("id").integer(0, kMaxTokenId - 1))));
}

}  // namespace

Tokenizer Tokenizer::from_json(std::string_view json, const FilesBeside& beside, const std::string& source,
                               int32_t rows) {
  const nlohmann::json document = parse_json(json, source);
  const Field root(document, source);
  TokenizerSpec spec;
  spec.source = source;
  spec.alphabet = Alphabet::characters;
  if (const auto field = root.find("pre_tokenizer"))
    read_pre_tokenizer(*field, prefix_space_of_class(beside, source), spec);
  read_model(root.at("model"), spec);
  if (const auto list = root.find("added_tokens")) read_added_tokens(*list, spec);
  if (const auto field = root.find("normalizer")) read_normalizer(*field, spec);
  if (const auto field = root.find("post_processor")) read_post_processor(*field, 0, spec);
  if (const auto field = root.find("decoder")) read_decoder(*field, spec);
  read_files_beside(beside, spec);
  drop_tokens_without_a_row(rows, spec);
  return Tokenizer(spec);
}

Tokenizer Tokenizer::load(const std::filesystem::path& path, int32_t rows) {
  const bool folder = std::filesystem::is_directory(path);
  const std::filesystem::path file = folder ? path / "tokenizer.json" : path;
  if (!folder) require_no_other_kind(file, "a tokenizer", "give a tokenizer.json, or the folder of a model");
  require(!folder || std::filesystem::exists(file), "{}: there is no tokenizer.json in this folder", path.string());
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
