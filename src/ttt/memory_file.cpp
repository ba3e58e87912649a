#include "ttt/memory_file.h"

#include "base/error.h"
#include "base/file_kind.h"
#include "base/text.h"
#include "formats/gguf.h"
#include "store/tensor_io.h"
#include "model/vocabulary.h"
#include "ttt/memory_tensors.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>

namespace ingrain::ttt {
namespace {

namespace fs = std::filesystem;
using Metadata = std::map<std::string, std::string>;

constexpr const char* kFormat = "ingrain-memory";
// Of version 1, keys and values were called "window", not "layer"; 3 has the inner optimizer's momentum, and 4 the fast
// weights of the unfinished chunk's first tokens. They are written only where there is such a thing.
constexpr int64_t kUsualVersion = 2, kMomentumVersion = 3, kEarlyVersion = 4, kVersion = kEarlyVersion;

std::map<std::string, Tensor> named_tensors(const Memory& memory) {
  std::map<std::string, Tensor> out;
  memory.visit([&](const std::string& name, const Tensor& x) { out[name] = x; });
  return out;
}

const std::string& field(const Metadata& metadata, const char* key, const fs::path& path) {
  const auto at = metadata.find(key);
  require(at != metadata.end(), "{}: metadata field '{}' is missing; the file is damaged", path.string(), key);
  return at->second;
}

int64_t integer(const Metadata& metadata, const char* key, const fs::path& path) {
  const std::string& text = field(metadata, key, path);
  int64_t out = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  require(error == std::errc() && end == text.data() + text.size() && out >= 0,
          "{}: metadata field '{}' is '{}'; a number of 0 or more is expected", path.string(), key, printable(text));
  return out;
}

constexpr const char* kNoMemory = "no memory file; 'ingrain read' makes them";

/// Whether a file begins as safetensors do: the header's length, and JSON.
bool begins_as_safetensors(const fs::path& path) {
  std::array<char, 9> head{};
  std::ifstream(path, std::ios::binary).read(head.data(), head.size());
  return head[7] == 0 && head[8] == '{';
}

/// What people give for a memory that is none.
formats::SafetensorsFile open_memory(const fs::path& path) {
  std::error_code none;
  const bool model = fs::is_directory(path, none) ? fs::exists(path / "config.json", none) : formats::is_gguf(path);
  require(!model, "{}: a model, not a memory; 'ingrain read' makes memories with it", path.string());
  const std::string_view kind = kind_of_file(path);  // of safetensors more below
  require(kind.empty() || begins_as_safetensors(path), "{}: {}, not a memory; 'ingrain read' makes them", path.string(),
          kind);
  require(!fs::is_directory(path, none), "{}: a folder, not a memory; 'ingrain read' makes them", path.string());
  require(!fs::is_regular_file(path, none) || begins_as_safetensors(path), "{}: {}", path.string(), kNoMemory);
  return formats::SafetensorsFile(path);
}

MemoryInfo parse_info(const formats::SafetensorsFile& file) {
  const fs::path& path = file.path();
  const Metadata& metadata = file.metadata();
  const auto format = metadata.find("format");
  const bool weights = file.tensors().contains("model.embed_tokens.weight");
  require(format != metadata.end() && format->second == kFormat, "{}: {}{}", path.string(),
          weights ? "the weights of a model, not a memory: " : "", kNoMemory);
  MemoryInfo info;
  info.version = integer(metadata, "version", path);
  require(info.version >= 1 && info.version <= kVersion, "{}: memory file of version {}; this program knows 1 to {}",
          path.string(), info.version, kVersion);
  info.position = integer(metadata, "position", path);
  info.filled = integer(metadata, "filled", path);
  info.steps = integer(metadata, "steps", path);
  info.batch = integer(metadata, "batch", path);
  const std::string& form = field(metadata, "form", path);
  require(form == "working" || form == "compact", "{}: metadata field 'form' is '{}'; working and compact are known",
          path.string(), printable(form));
  info.form = form == "compact" ? MemoryForm::compact : MemoryForm::working;
  info.model_fingerprint = printable(field(metadata, "model", path));
  info.config = field(metadata, "config", path);
  info.bytes = fs::file_size(path);
  return info;
}

void require_checksum(const formats::SafetensorsFile& file, const std::string& is) {
  const fs::path& path = file.path();
  require(is == field(file.metadata(), "checksum", path), "{}: the checksum does not match; the file is damaged",
          path.string());
}

/// Takes a memory's parts out of a file, each checked against the shape that the configuration and the counts ask for.
class Loader {
 public:
  Loader(const formats::SafetensorsFile& file, MemoryTensors& tensors, const Network& model, const MemoryInfo& info,
         Room room)
      : file_(file), tensors_(tensors), model_(model), c_(model.config), info_(info), room_(room) {}

  Memory load() {
    check_counts();
    Memory m = unread_memory(model_, fast_weights("fast"), info_.batch);
    if (info_.version >= kEarlyVersion) m.early_S = fast_weights("early");
    if (info_.version >= kMomentumVersion) m.M_S = momentum(m.W_S);
    m.position = info_.position;
    m.filled = info_.filled;
    m.steps = info_.steps;
    load_layers(m);
    if (m.filled > 0) load_chunk(m);
    if (m.position > 0) m.x_BD = take("last", {info_.batch, c_.hidden_size}, model_.weights.type());
    require(taken_ == file_.tensors().size(), "{}: holds {} tensors where {} belong to such a memory", name(),
            file_.tensors().size(), taken_);
    return m;
  }

 private:
  std::string name() const { return file_.path().string(); }

  void check_counts() const {
    const auto check = [&](bool ok, const char* what) { require(ok, "{}: {}; the file is damaged", name(), what); };
    check(info_.batch >= 1 && info_.batch <= 65536, "'batch' is out of range");
    check(info_.position <= (int64_t{1} << 53), "'position' is out of range");
    check(info_.filled <= info_.position && info_.filled <= (c_.suffix_len > 0 ? c_.chunk : 0),
          "'filled' contradicts the chunk or 'position'");
    check(info_.steps <= info_.position / c_.chunk * c_.inner.steps, "'steps' contradicts 'position'");
    if (c_.suffix_len == 0) return;
    check((info_.position - info_.filled) % c_.chunk == 0, "'filled' contradicts the chunk or 'position'");
    // Before anything of this size is allocated: the file itself must hold as many sequences.
    const auto& shape = file_.at("fast.0.w13").shape;
    check(!shape.empty() && shape[0] == info_.batch, "'batch' contradicts tensor 'fast.0.w13'");
  }

  Tensor take(const std::string& tensor, const std::vector<int64_t>& shape, at::ScalarType type) {
    const formats::TensorEntry& entry = file_.at(tensor);
    require(entry.shape == shape, "{}: tensor '{}' has shape [{}]; [{}] belongs there", name(), tensor,
            fmt::join(entry.shape, ", "), fmt::join(shape, ", "));
    ++taken_;
    return tensors_.take(tensor, type);
  }

  std::vector<Mlp> fast_weights(const char* name) {
    const auto load = [&](const std::string& tensor, const Tensor& start) {
      std::vector<int64_t> shape = start.sizes().vec();
      shape.insert(shape.begin(), info_.batch);
      const Tensor stored = take(tensor, shape, start.scalar_type());
      return info_.form == MemoryForm::compact ? start.detach() + stored : stored;
    };
    std::vector<Mlp> W_S;
    for (size_t s = 0; s < model_.weights.fast_S.size(); ++s) {
      const Mlp& start = model_.weights.fast_S[s];
      Tensor w13_BFD = load(fmt::format("{}.{}.w13", name, s), start.w13_FD);
      W_S.push_back({std::move(w13_BFD), load(fmt::format("{}.{}.w2", name, s), start.w2_DF)});
    }
    return W_S;
  }

  std::vector<Mlp> momentum(const std::vector<Mlp>& W_S) {
    std::vector<Mlp> M_S;
    if (c_.inner.momentum == 0) return M_S;
    for (size_t s = 0; s < W_S.size(); ++s) {
      const auto load = [&](const char* matrix, const Tensor& like) {
        return take(fmt::format("momentum.{}.{}", s, matrix), like.sizes().vec(), like.scalar_type());
      };
      Tensor w13_BFD = load("w13", W_S[s].w13_FD);
      M_S.push_back({std::move(w13_BFD), load("w2", W_S[s].w2_DF)});
    }
    return M_S;
  }

  void load_layers(Memory& m) {
    const char* const layer = info_.version == 1 ? "window" : "layer";
    for (size_t l = 0; l < m.layer_L.size(); ++l)
      m.layer_L[l].load(c_, {info_.batch, info_.position, info_.filled}, model_.weights.type(),
                        [&](const std::string& part, const std::vector<int64_t>& shape, at::ScalarType type) {
                          return take(fmt::format("{}.{}.{}", layer, l, part), shape, type);
                        });
  }

  void load_chunk(Memory& m) {
    const Tensor h = take("chunk.h", {info_.batch, m.filled, c_.hidden_size}, model_.weights.type());
    if (room_ == Room::for_more)
      m.h_BbD.narrow(1, 0, m.filled).copy_(h);
    else
      m.h_BbD = h;
    const Tensor target = take("chunk.target", {info_.batch, m.filled}, at::kLong);
    const Tensor valid = take("chunk.valid", {info_.batch, m.filled}, at::kBool);
    // The last one's is not known yet; the step's loss would go where a negative one points.
    require_in_vocabulary(target.narrow(1, 0, m.filled - 1), c_.vocab_size,
                          fmt::format("{}: the ids in tensor 'chunk.target'", name()));
    require(target.select(1, m.filled - 1).eq(kUnknownTarget).all().item<bool>(),
            "{}: tensor 'chunk.target' knows a token that was not read", name());
    m.target_Bb.narrow(1, 0, m.filled).copy_(target);
    m.valid_Bb.narrow(1, 0, m.filled).copy_(valid);
  }

  const formats::SafetensorsFile& file_;
  MemoryTensors& tensors_;
  const Network& model_;
  const ModelConfig& c_;
  const MemoryInfo& info_;
  const Room room_;
  size_t taken_ = 0;
};

/// The tensors of the compact form: bf16, fast weights as differences.
void compact(std::map<std::string, Tensor>& tensors, const Network& model) {
  const std::map<std::string, Tensor> start = named_tensors(empty_memory(model));
  for (auto& [name, tensor] : tensors) {
    if (name.starts_with("fast.")) tensor = tensor - start.at(name);
    if (name.starts_with("early.")) tensor = tensor - start.at("fast." + name.substr(std::string("early.").size()));
    if (at::isFloatingType(tensor.scalar_type())) tensor = tensor.to(at::kBFloat16);
  }
}

}  // namespace

void save_memory(const fs::path& path, const Network& model, const Memory& memory, MemoryForm form) {
  const at::NoGradGuard no_grad;
  std::map<std::string, Tensor> tensors = named_tensors(memory);
  if (form == MemoryForm::compact) compact(tensors, model);
  const Metadata metadata{{"format", kFormat},
                          {"version", std::to_string(!memory.early_S.empty() ? kEarlyVersion
                                                     : !memory.M_S.empty()   ? kMomentumVersion
                                                                             : kUsualVersion)},
                          {"form", form == MemoryForm::compact ? "compact" : "working"},
                          {"model", model.fingerprint},
                          {"config", to_json(model.config).dump()},
                          {"position", std::to_string(memory.position)},
                          {"filled", std::to_string(memory.filled)},
                          {"steps", std::to_string(memory.steps)},
                          {"batch", std::to_string(memory.batch())}};
  TensorWriter writer;
  FileChecksum sum;
  sum.metadata(metadata);
  for (auto& [name, tensor] : tensors) {
    tensor = tensor.to(at::kCPU).contiguous();
    sum.tensor(name, tensor.sizes());
    sum.bytes({static_cast<const uint8_t*>(tensor.data_ptr()), tensor.nbytes()});
    writer.add(name, tensor);
  }
  for (const auto& [key, value] : metadata) writer.metadata(key, value);
  writer.metadata("checksum", sum.value());
  writer.write(path);
}

std::string memory_checksum(const formats::SafetensorsFile& file) {
  FileChecksum sum;
  sum.metadata(file.metadata());
  for (const auto& [name, entry] : file.tensors()) {
    sum.tensor(name, entry.shape);
    sum.bytes(file.bytes(name));
  }
  return sum.value();
}

Memory load_memory(const fs::path& path, const Network& model, Room room) {
  const at::NoGradGuard no_grad;
  const formats::SafetensorsFile file = open_memory(path);
  const MemoryInfo info = parse_info(file);
  require(info.model_fingerprint == model.fingerprint,
          "{}: this memory belongs to the model {}, not to {}; load that model's folder", path.string(),
          info.model_fingerprint, model.fingerprint);
  MemoryTensors tensors(file, model, room == Room::mapped);
  require_checksum(file, tensors.checksum());
  return Loader(file, tensors, model, info, room).load();
}

MemoryInfo read_memory_info(const fs::path& path) { return parse_info(open_memory(path)); }

MemoryInfo check_memory(const fs::path& path) {
  const formats::SafetensorsFile file = open_memory(path);
  const MemoryInfo info = parse_info(file);
  require_checksum(file, memory_checksum(file));
  return info;
}

uint64_t least_file_bytes(const Network& model, int64_t position, MemoryForm form) {
  const ModelConfig& c = model.config;
  const auto bytes_of = [&](at::ScalarType type) { return form == MemoryForm::compact ? 2 : c10::elementSize(type); };
  const at::ScalarType compute = model.weights.type();
  uint64_t bytes = 0;
  for (const Mlp& mlp : model.weights.fast_S)
    bytes += static_cast<uint64_t>(mlp.w13_FD.numel() + mlp.w2_DF.numel()) * bytes_of(master_type(compute)) *
             (c.inner.momentum > 0 ? 2 : 1);
  for (int64_t l = 0; l < c.num_layers; ++l) {
    if (mixer_of(c, l).recurrent()) continue;
    const int64_t kept = std::min(position, c.layer(l).window - 1);
    bytes += static_cast<uint64_t>(2 * kept * c.num_kv_heads * c.head_dim) * bytes_of(compute);
  }
  return bytes;
}

uint64_t memory_bytes(const Memory& memory) {
  uint64_t bytes = 0;
  memory.visit([&](const std::string&, const Tensor& x) { bytes += x.nbytes(); });
  return bytes;
}

}  // namespace ingrain::ttt
