#include "base/error.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "base/text.h"
#include "data/corpus.h"

namespace ingrain::data {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr uint64_t kMaxManifestBytes = 100'000'000;
constexpr const char* kFormat = "ingrain-tokens";
constexpr uint64_t kManifestVersion = 1;

std::string hex(uint64_t value) { return fmt::format("{:016x}", value); }

uint64_t from_hex(const Field& field) {
  const std::string digits = field.string();
  if (digits.size() != 16 || digits.find_first_not_of("0123456789abcdef") != digits.npos)
    field.refuse("must be 16 hexadecimal digits");
  return std::stoull(digits, nullptr, 16);
}

/// A name in the manifest's folder or in one beside it: a name from outside must not reach elsewhere.
bool stays_here(const std::string& file) {
  if (file.find('\0') != file.npos) return false;
  const size_t slash = file.find('/');
  const std::string folder = slash == file.npos ? "x" : file.substr(0, slash), name = file.substr(slash + 1);
  const auto plain = [](const std::string& word) { return !word.empty() && word != "." && word != ".."; };
  return plain(folder) && plain(name) && name.find('/') == name.npos;
}

Manifest::Shard read_shard(const Field& fields) {
  Manifest::Shard shard{fields.at("file").string(), fields.at("tokens").whole_number(),
                        fields.at("documents").whole_number(), from_hex(fields.at("checksum"))};
  if (!stays_here(shard.file))
    fields.at("file").refuse(
        fmt::format("is '{}'; it must be a name in the same folder, or in a folder there", printable(shard.file)));
  return shard;
}

}  // namespace

Manifest read_manifest(const std::filesystem::path& path) {
  const nlohmann::json json = read_json(path, kMaxManifestBytes);
  const Field fields(json, path.string(), "; prepare the data again");
  if (fields.at("format").string() != kFormat) fields.at("format").refuse(fmt::format("must be '{}'", kFormat));
  if (const uint64_t version = fields.at("version").whole_number(); version != kManifestVersion)
    fields.at("version").refuse(fmt::format("is {}; this program reads {}", version, kManifestVersion));
  const auto number = [&](const char* name) { return static_cast<uint32_t>(fields.at(name).whole_number(UINT32_MAX)); };
  Manifest out;
  out.vocab_size = number("vocab_size");
  out.bos = number("bos");
  out.tokenizer = from_hex(fields.at("tokenizer"));
  if (!json.contains("shuffle_seed")) fields.missing("shuffle_seed");  // null, where nothing was shuffled
  if (const auto seed = fields.find("shuffle_seed")) out.shuffle_seed = seed->whole_number();
  if (const auto part = fields.find("part")) {
    out.part = PartOf{part->at("number").whole_number(), part->at("of").whole_number()};
    if (out.part->number < 1 || out.part->number > out.part->of) part->at("number").refuse("must be from 1 to 'of'");
  }
  out.text_bytes = fields.at("text_bytes").whole_number();
  for (const Field& source : fields.at("sources").elements()) out.sources.push_back(source.string());
  for (const Field& shard : fields.at("shards").elements()) out.shards.push_back(read_shard(shard));
  if (out.shards.empty()) fields.at("shards").refuse("must be a list of at least one");
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
  if (manifest.part) json["part"] = {{"number", manifest.part->number}, {"of", manifest.part->of}};
  if (manifest.shuffle_seed) json["shuffle_seed"] = *manifest.shuffle_seed;
  // File names need not be UTF-8; a replacement character in a list of sources does no harm.
  write_file(path, json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
}

}  // namespace ingrain::data
