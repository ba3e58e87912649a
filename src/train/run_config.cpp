#include "train/run_config.h"

#include "base/error.h"
#include "base/option_error.h"
#include "base/text.h"
#include "tokenizer/gguf_tokenizer.h"
#include "model/device.h"
#include "model/parameters.h"
#include "ttt/outer_gradient.h"

#include <fnmatch.h>

#include <algorithm>

namespace ingrain::train {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr double kHuge = 1e12;

using Shapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;
Shapes shapes_of_parameters(const ModelConfig& config) {
  Shapes out;
  for_each_parameter(
      config, [&](const Parameter& p, int64_t layer) { out.emplace_back(full_name(p, layer), shape_of(p, config)); });
  return out;
}

void read_data(SettingReader& in, RunConfig::Data& data) {
  in.need("data.train", "\"corpus\"  # what 'ingrain data prepare' made");
  in.need("data.sequence_length", "8192");
  in.read("data.train", data.train);
  in.read("data.tokenizer", data.tokenizer);
  size_t order = 0, type = 0;
  in.read_word("data.order", order, {"packed", "numpy"});
  data.order = order == 0 ? data::Order::splitmix : data::Order::numpy;
  in.read_word("data.raw_type", type, {"u16", "u32"});
  data.raw_type = type == 0 ? data::TokenType::U16 : data::TokenType::U32;
  int64_t seed = 1, skip = 0;
  in.read("data.seed", seed, 0);
  in.read("data.skip", skip, 0, int64_t{1} << 32);
  data.seed = static_cast<uint64_t>(seed), data.skip = static_cast<uint64_t>(skip);
  in.read("data.sequence_length", data.length, 1, int64_t{1} << 30);
}

/// The fields of config.json that [model] may hold, for suggestions.
std::vector<std::string> model_fields() {
  std::vector<std::string> names = config_keys();
  names.insert(names.end(), {"preset", "folder"});
  return names;
}

/// What the model leaves open is decided by the data; what it says must agree with them.
void fit_to_data(const RunConfig::Data& data, json& fields, const std::string& source) {
  const data::Corpus corpus = data::Corpus::open(data.train, data.raw_type);
  if (!corpus.shards().empty()) {
    const data::ShardInfo& info = corpus.shards()[0].info();
    if (!fields.contains("vocab_size")) fields["vocab_size"] = info.vocab_size;
    if (!fields.contains("bos_token_id")) fields["bos_token_id"] = info.bos;
    require(!fields["vocab_size"].is_number_integer() || fields["vocab_size"].get<int64_t>() >= info.vocab_size,
            "{}: [model] vocab_size is {}, but {} was made with a vocabulary of {}; leave vocab_size out to take that",
            source, fields["vocab_size"].dump(), data.train.string(), info.vocab_size);
    require(fields["bos_token_id"] == info.bos,
            "{}: [model] bos_token_id is {}, but documents in {} begin with {}; leave bos_token_id out to take that",
            source, fields["bos_token_id"].dump(), data.train.string(), info.bos);
  }
  if (!data.tokenizer.empty()) {
    const tokenizer::Tokenizer tokenizer = tokenizer::tokenizer_at(data.tokenizer);
    require(corpus.shards().empty() || corpus.shards()[0].info().tokenizer == tokenizer.fingerprint(),
            "{}: data.tokenizer ({}) is not the one that made {}; give that one, or prepare the data again", source,
            data.tokenizer.string(), data.train.string());
    if (tokenizer.eos() && !fields.contains("eos_token_id")) fields["eos_token_id"] = *tokenizer.eos();
  }
  require(fields.contains("vocab_size"),
          "{}: model.vocab_size is missing; raw tokens do not say it: below [model] write vocab_size = 32000", source);
}

/// TOML has no null: a window is "full" there.
void full_windows(json& fields) {
  if (const auto window = fields.find("sliding_window"); window != fields.end() && *window == "full") *window = nullptr;
  const auto layers = fields.find("layers");
  if (layers == fields.end() || !layers->is_array()) return;
  for (json& layer : *layers)
    if (layer.is_object()) full_windows(layer);
}

/// A folder's weights are those of its own parameters: no field may ask for others, or for others' shapes.
void require_its_parameters(SettingReader& in, const json& given, const json& fields, const fs::path& folder,
                            const ModelConfig& config) {
  const Shapes stored = shapes_of_parameters(parse_config(fields, folder.string()));
  if (shapes_of_parameters(config) == stored) return;
  for (const auto& [key, value] : given.items()) {
    json changed = fields;
    changed[key] = value;
    try {
      if (changed == fields || shapes_of_parameters(parse_config(changed, folder.string())) == stored) continue;
    } catch (const Error&) {
      continue;  // it goes with another field only
    }
    fail("{}: the model in {} has other weights; leave it out", in.describe("model." + key), folder.string());
  }
  fail("[model]: the model in {} has other weights than these fields together ask for; leave them out",
       folder.string());
}

void read_model(SettingReader& in, const RunConfig::Data& data, RunConfig::Model& model, const std::string& source) {
  std::string preset_name;
  in.read("model.preset", preset_name);
  in.read("model.folder", model.folder);
  json given = in.section("model"), fields = json::object();
  const std::vector<std::string> known = model_fields();
  for (const auto& [key, value] : given.items())
    require(std::find(known.begin(), known.end(), key) != known.end(), "{}: there is no such setting{}",
            in.describe("model." + key), did_you_mean(key, known));
  given.erase("preset"), given.erase("folder");
  require(preset_name.empty() || model.folder.empty(), "{}: [model] has both a preset and a folder; keep one of them",
          source);
  if (!preset_name.empty()) {
    try {
      fields = to_json(preset(preset_name));
    } catch (const OptionError& e) {
      fail("{}: {}", in.describe("model.preset"), e.reason());
    }
  }
  if (!model.folder.empty()) fields = to_json(load_config(model.folder / "config.json"));
  // A preset's vocabulary gives way to that of the data.
  if (!preset_name.empty()) fields.erase("vocab_size"), fields.erase("bos_token_id"), fields.erase("eos_token_id");
  full_windows(given);
  const json of_folder = fields;
  for (const auto& [key, value] : given.items()) fields[key] = value;
  fit_to_data(data, fields, source);
  fields["trained_sequence_length"] = data.length;
  model.config = parse_config(fields, source + ": [model]");
  if (!model.folder.empty()) require_its_parameters(in, given, of_folder, model.folder, model.config);
}

void read_train(SettingReader& in, const RunConfig::Model& model, RunConfig::Train& train) {
  in.need("train.steps", "1000");
  size_t mode = 0;
  in.read_word("train.mode", mode, {"meta", "standard"});
  train.mode = mode == 0 ? Mode::meta : Mode::standard;
  in.read("train.steps", train.steps, 1);
  in.read("train.batch", train.batch, 1, 1 << 20);
  in.read("train.accumulation", train.accumulation, 1, 1 << 20);
  require(train.batch % train.accumulation == 0, "{} is {}; it must divide train.batch ({})",
          in.describe("train.accumulation"), train.accumulation, train.batch);
  train.rate.steps = train.steps;
  train.rate.warmup = train.steps / 10;
  in.read("train.lr", train.rate.peak, 0, kHuge);
  in.read("train.init_lr", train.rate.initial, 0, kHuge);
  in.read("train.end_lr", train.rate.end, 0, kHuge);
  in.read("train.warmup", train.rate.warmup, 0, train.steps);
  const double inner_lr = model.config.inner_lr;
  // A model that already learns while reading goes on at its own rate.
  train.inner_rate = {model.folder.empty() ? 0.1 * inner_lr : inner_lr, inner_lr, train.rate.warmup};
  in.read("train.ilr_init", train.inner_rate.initial, 0, kHuge);
  in.read("train.ilr_warmup", train.inner_rate.warmup, 0, train.steps);
  in.read("train.weight_decay", train.adamw.weight_decay, 0, kHuge);
  in.read("train.clip", train.adamw.clip, 1e-12, kHuge);
  in.read("train.decay_embedding", train.adamw.decay_embedding);
  in.read("train.beta1", train.adamw.beta1, 0, 0.999999);
  in.read("train.beta2", train.adamw.beta2, 0, 0.999999);
  const std::vector<std::string> types{"auto", "fp32", "bf16"};
  size_t type = 0;
  in.read_word("train.dtype", type, types);
  train.dtype = types[type];
  in.read("train.device", train.device);
  require(is_device_name(train.device),
          "{}: '{}' is not a device; choose \"auto\", \"cpu\", \"cuda\" (the first GPU) or \"cuda:N\"",
          in.describe("train.device"), printable(train.device));
  in.read_or_auto("train.recompute", train.recompute);
  size_t reduction = 0;
  in.read_word("train.reduction", reduction, {"sum", "ordered"});
  train.ordered = reduction == 1;
  int64_t seed = 1;
  in.read("train.seed", seed, 0);
  train.seed = static_cast<uint64_t>(seed);
  size_t parameters = 0;
  const bool choice = in.read_word("train.parameters", parameters, {"all", "fast"});
  require(!in.read("train.train_only", train.train_only) || !choice,
          "{}: train.train_only says the same in detail; keep one of them", in.describe("train.parameters"));
  if (parameters == 1) {
    require(model.config.suffix_len > 0, "{}: the model has no fast weights; 'ingrain retrofit' gives it some",
            in.describe("train.parameters"));
    train.train_only = {"*.fast*"};  // the fast MLPs and their norms
    if (model.config.learned_inner_rates) train.train_only.emplace_back("inner_rate");
  }
  in.read("train.max_skipped", train.max_skipped, 1);
  in.read("train.kept_mib", train.kept_mib, 0, int64_t{1} << 24);
  in.read("train.kept_host_mib", train.kept_host_mib, 0, int64_t{1} << 24);
}

void read_outputs(SettingReader& in, RunConfig& run) {
  in.read("validation.paths", run.validation.paths);
  in.read("validation.every", run.validation.every, 0);
  in.read("validation.sequences", run.validation.sequences, 1, 1 << 20);
  run.validation.length = run.data.length;
  in.read("validation.length", run.validation.length, 1, int64_t{1} << 30);
  in.need("checkpoint.folder", "\"run\"");
  in.read("checkpoint.folder", run.checkpoint.folder);
  in.read("checkpoint.every", run.checkpoint.every, 1);
  in.read("checkpoint.keep", run.checkpoint.keep, 1, 1 << 20);
  run.checkpoint.model = run.checkpoint.folder / "model";
  in.read("checkpoint.model", run.checkpoint.model);
  const std::vector<std::string> types{"fp32", "bf16"};
  size_t type = 0;
  in.read_word("checkpoint.model_dtype", type, types);
  run.checkpoint.model_dtype = types[type];
  run.log.file = run.checkpoint.folder / "log.jsonl";
  in.read("log.file", run.log.file);
  in.read("log.every", run.log.every, 1);
}

void check_train_only(const RunConfig& run, const SettingReader& in) {
  std::vector<std::string> names;
  Weights shapes;
  visit_parameters(run.model.config, shapes,
                   [&](const std::string& name, Tensor&, ParameterKind) { names.push_back(name); });
  for (const std::string& pattern : run.train.train_only)
    require(std::any_of(names.begin(), names.end(),
                        [&](const auto& name) { return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0; }),
            "{}: no parameter is called '{}'{}; docs/training.md lists them, for example \"*.fast.*\"",
            in.describe("train.train_only"), printable(pattern), did_you_mean(pattern, names));
}

}  // namespace

RunConfig parse_run_config(const SettingMap& settings, const std::string& source) {
  SettingReader in(settings, source);
  RunConfig run;
  run.settings = json::object();
  for (const auto& [name, setting] : settings) run.settings[name] = setting.value;
  read_data(in, run.data);
  read_model(in, run.data, run.model, source);
  read_train(in, run.model, run.train);
  read_outputs(in, run);
  in.finish();
  const int64_t chunk = run.model.config.chunk;
  require(run.data.length % chunk == 0, "{} is {}; it must be a multiple of the model's chunk_size ({})",
          in.describe("data.sequence_length"), run.data.length, chunk);
  require(run.train.mode == Mode::standard || run.model.config.suffix_len > 0,
          "{}: mode \"meta\" needs a model with fast weights: set model.suffix_len, or train.mode = \"standard\"",
          source);
  if (run.train.mode == Mode::meta) ttt::require_meta_trainable(run.model.config, source);
  check_train_only(run, in);
  return run;
}

at::Device device_of(const RunConfig& run) {
  try {
    return parse_device(run.train.device);
  } catch (const OptionError& e) {
    fail_usage("train.{} {}", e.option(), e.reason());
  }
}

RunConfig load_run_config(const fs::path& path, const std::vector<std::string>& overrides) {
  return parse_run_config(read_settings(path, overrides), path.string());
}

bool is_trained(const RunConfig& config, const std::string& name) {
  const auto& patterns = config.train.train_only;
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
           return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
         });
}

namespace {

/// A field of config.json; the null of a window is the "full" that full_windows() knows.
std::string toml_value(const json& value) {
  if (value.is_null()) return "\"full\"";
  if (!value.is_structured()) return value.dump();
  std::vector<std::string> parts;
  for (const auto& [name, part] : value.items())
    if (value.is_array())
      parts.push_back(toml_value(part));
    else
      parts.push_back(fmt::format("{} = {}", name, part.is_null() && name == "rope_scaling" ? "{}" : toml_value(part)));
  if (value.is_array()) return fmt::format("[{}]", fmt::join(parts, ", "));
  return parts.empty() ? "{}" : fmt::format("{{ {} }}", fmt::join(parts, ", "));
}

}  // namespace

std::string resolved_toml(const RunConfig& run) {
  std::string out;
  const auto section = [&](const char* name) { out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", name); };
  const auto line = [&](const char* key, const json& value) { out += fmt::format("{} = {}\n", key, value.dump()); };
  const auto path = [&](const char* key, const fs::path& value) {
    if (!value.empty()) line(key, fs::absolute(value).string());
  };
  section("model");
  path("folder", run.model.folder);
  const json fields = to_json(run.model.config);
  for (const auto& [key, value] : fields.items()) {
    if (key == "trained_sequence_length" || (key == "rope_scaling" && value.is_null())) continue;
    out += fmt::format("{} = {}\n", key, toml_value(value));
  }
  section("data");
  path("train", run.data.train);
  path("tokenizer", run.data.tokenizer);
  line("raw_type", data::token_type_name(run.data.raw_type));
  line("order", run.data.order == data::Order::splitmix ? "packed" : "numpy");
  line("seed", run.data.seed), line("skip", run.data.skip), line("sequence_length", run.data.length);
  section("train");
  const RunConfig::Train& t = run.train;
  line("mode", t.mode == Mode::meta ? "meta" : "standard");
  line("steps", t.steps), line("batch", t.batch), line("accumulation", t.accumulation);
  line("lr", t.rate.peak), line("init_lr", t.rate.initial), line("end_lr", t.rate.end), line("warmup", t.rate.warmup);
  line("ilr_init", t.inner_rate.initial), line("ilr_warmup", t.inner_rate.warmup);
  line("weight_decay", t.adamw.weight_decay), line("clip", t.adamw.clip),
      line("decay_embedding", t.adamw.decay_embedding);
  line("beta1", t.adamw.beta1), line("beta2", t.adamw.beta2);
  line("dtype", t.dtype), line("device", t.device), line("recompute", t.recompute ? json(*t.recompute) : json("auto")),
      line("seed", t.seed);
  line("reduction", t.ordered ? "ordered" : "sum");
  line("train_only", t.train_only), line("max_skipped", t.max_skipped), line("kept_mib", t.kept_mib),
      line("kept_host_mib", t.kept_host_mib);
  section("validation");
  json paths = json::array();
  for (const fs::path& p : run.validation.paths) paths.push_back(fs::absolute(p).string());
  line("paths", paths), line("every", run.validation.every);
  line("sequences", run.validation.sequences), line("length", run.validation.length);
  section("checkpoint");
  path("folder", run.checkpoint.folder);
  line("every", run.checkpoint.every), line("keep", run.checkpoint.keep);
  path("model", run.checkpoint.model);
  line("model_dtype", run.checkpoint.model_dtype);
  section("log");
  path("file", run.log.file);
  line("every", run.log.every);
  return out;
}

}  // namespace ingrain::train
