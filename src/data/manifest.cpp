#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "data/corpus.h"

namespace ingrain::data {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr uint64_t kMaxManifestBytes = 100'000'000;
constexpr const char* kFormat = "ingrain-tokens";
constexpr int kManifestVersion = 1;

std::string hex(uint64_t value) { return fmt::format("{:016x}", value); }

/// Reads fields of one JSON object; errors name file and field.
class Fields {
 public:
  Fields(const nlohmann::json& object, std::string file, std::string place)
      : object_(object), file_(std::move(file)), place_(std::move(place)) {
    require(object.is_object(), "{}: {}: must be an object; prepare the data again", file_, place_);
  }

  const nlohmann::json& at(const char* name) const {
    const auto found = object_.find(name);
    if (found == object_.end()) {
      fail("{}: {}: field '{}' is missing; prepare the data again", file_, place_, name);
    }
    return *found;
  }

  uint64_t number(const char* name, uint64_t max = UINT64_MAX) const {
    const nlohmann::json& value = at(name);
    if (!value.is_number_unsigned() || value.get<uint64_t>() > max) {
      fail("{}: {}: field '{}' must be a whole number of at most {}; prepare the data again", file_, place_, name, max);
    }
    return value.get<uint64_t>();
  }

  std::string text(const char* name) const {
    const nlohmann::json& value = at(name);
    if (!value.is_string()) {
      fail("{}: {}: field '{}' must be text; prepare the data again", file_, place_, name);
    }
    return value.get<std::string>();
  }

  uint64_t hex_number(const char* name) const {
    const std::string digits = text(name);
    if (digits.size() != 16 || digits.find_first_not_of("0123456789abcdef") != digits.npos) {
      fail("{}: {}: field '{}' must be 16 hexadecimal digits; prepare the data again", file_, place_, name);
    }
    return std::stoull(digits, nullptr, 16);
  }

 private:
  const nlohmann::json& object_;
  std::string file_, place_;
};

Manifest::Shard read_shard(const nlohmann::json& json, const std::string& file, size_t index) {
  const Fields fields(json, file, fmt::format("shards[{}]", index));
  Manifest::Shard shard{fields.text("file"), fields.number("tokens"), fields.number("documents"),
                        fields.hex_number("checksum")};
  // Only files beside the manifest: a name from outside must not reach elsewhere.
  if (shard.file.empty() || shard.file.find_first_of(std::string_view("/\0", 2)) != shard.file.npos) {
    fail("{}: shards[{}]: field 'file' is '{}'; it must be a name in the same folder", file, index,
         printable(shard.file));
  }
  return shard;
}

}  // namespace

Manifest read_manifest(const std::filesystem::path& path) {
  const std::string file = path.string();
  const nlohmann::json json = read_json(path, kMaxManifestBytes);
  const Fields fields(json, file, "manifest");
  require(fields.text("format") == kFormat, "{}: field 'format' must be '{}'", file, kFormat);
  require(fields.number("version") == kManifestVersion,
          "{}: field 'version' is {}; this program reads {}; prepare the data again", file, fields.number("version"),
          kManifestVersion);
  Manifest out;
  out.vocab_size = static_cast<uint32_t>(fields.number("vocab_size", UINT32_MAX));
  out.bos = static_cast<uint32_t>(fields.number("bos", UINT32_MAX));
  out.tokenizer = fields.hex_number("tokenizer");
  if (!fields.at("shuffle_seed").is_null()) out.shuffle_seed = fields.number("shuffle_seed");
  out.text_bytes = fields.number("text_bytes");
  for (const nlohmann::json& source : fields.at("sources")) {
    require(source.is_string(), "{}: field 'sources' must be a list of names", file);
    out.sources.push_back(source.get<std::string>());
  }
  const nlohmann::json& shards = fields.at("shards");
  require(shards.is_array() && !shards.empty(), "{}: field 'shards' must be a list of at least one", file);
  for (size_t i = 0; i < shards.size(); ++i) out.shards.push_back(read_shard(shards[i], file, i));
  return out;
}

void write_manifest(const std::filesystem::path& path, const Manifest& manifest) {
  OrderedJson shards = OrderedJson::array();
  uint64_t tokens = 0, documents = 0;
  for (const Manifest::Shard& shard : manifest.shards) {
    shards.push_back({{"file", shard.file},
                      {"tokens", shard.tokens},
                      {"documents", shard.documents},
                      {"checksum", hex(shard.checksum)}});
    tokens += shard.tokens, documents += shard.documents;
  }
  OrderedJson json = {{"format", kFormat},
                      {"version", kManifestVersion},
                      {"tokens", tokens},
                      {"documents", documents},
                      {"text_bytes", manifest.text_bytes},
                      {"vocab_size", manifest.vocab_size},
                      {"bos", manifest.bos},
                      {"tokenizer", hex(manifest.tokenizer)},
                      {"shuffle_seed", nullptr},
                      {"sources", manifest.sources},
                      {"shards", shards}};
  if (manifest.shuffle_seed) json["shuffle_seed"] = *manifest.shuffle_seed;
  // File names need not be UTF-8; a replacement character in a list of sources does no harm.
  write_file(path, json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
}

}  // namespace ingrain::data
