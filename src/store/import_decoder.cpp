#include "model/parameters.h"
#include "store/import_decoder.h"

#include "base/error.h"
#include "base/files.h"
#include "base/unfinished.h"
#include "formats/gguf_split.h"
#include "formats/gguf_writer.h"
#include "model/parameters.h"
#include "store/assemble_weights.h"
#include "store/model_files.h"
#include "store/model_tokenizer.h"
#include "store/tensor_io.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace ingrain {
namespace fs = std::filesystem;

namespace {

/// Of a GGUF file's tensors, if they have less than 32 bits a weight.
std::optional<uint64_t> bytes_of_small_gguf(const fs::path& path, const ModelConfig& config) {
  if (!formats::is_gguf(path)) return std::nullopt;
  uint64_t bytes = 0;
  const formats::Gguf file(path);  // lives as long as the loop over its tensors
  for (const formats::GgufTensor& tensor : file.tensors()) bytes += tensor.bytes.size();
  const bool small = bytes < static_cast<uint64_t>(parameter_count(config)) * 39 / 10;
  return small ? std::optional(bytes) : std::nullopt;
}

/// Nothing is copied that loading would refuse.
void require_finite_weights(const DecoderSource& source, const fs::path& path,
                            const std::function<void(int64_t done)>& on_progress) {
  int64_t done = 0;
  for_each_parameter(source.config(), [&](const Parameter& parameter, int64_t layer) {
    for (const StoredPart& part : stored_parts(parameter, source.config(), layer)) {
      done += require_finite(source.read(part.name), path, part.name).numel();
      on_progress(done);
    }
  });
}

/// The parts of a split file as one.
void join_parts(const formats::Gguf& from, const fs::path& to, int64_t weights,
                const std::function<void(int64_t done)>& on_progress) {
  formats::GgufWriter out;
  for (const formats::GgufRawValue& value : from.raw_metadata())
    if (value.key != "general.alignment") out.set(value);
  for (const formats::GgufTensor& tensor : from.tensors()) out.tensor(tensor.name, tensor.type, tensor.shape);
  const auto all = static_cast<int64_t>(from.tensors().size());
  out.write(to, [&](size_t i, const auto& put) {
    put(from.tensors()[i].bytes);
    on_progress(weights / all * static_cast<int64_t>(i + 1));
  });
}

/// `on_progress` as import_decoder(): in weights, of `weights`.
void copy_whole(const fs::path& from, const fs::path& to, int64_t weights,
                const std::function<void(int64_t done)>& on_progress) {
  constexpr size_t kPiece = 16 << 20;
  const MappedFile in(from);
  AtomicFile out(to);
  for (size_t at = 0; at < in.size(); at += kPiece) {
    out.write(in.bytes().substr(at, kPiece));
    const double share = static_cast<double>(std::min(in.size(), at + kPiece)) / static_cast<double>(in.size());
    on_progress(static_cast<int64_t>(share * static_cast<double>(weights)));
  }
  out.commit();
}

}  // namespace

void import_decoder(const DecoderSource& source, const fs::path& path, const fs::path& folder,
                    std::optional<at::ScalarType> store, const std::function<void(int64_t done)>& on_progress) {
  require(!fs::exists(folder) || !fs::equivalent(path, folder),
          "{}: is the model itself; choose another folder for the imported one", folder.string());
  copy_tokenizer(path, folder);        // first: what is not supported shows before the long part
  fs::remove(folder / kGgufInFolder);  // of an import before
  const int64_t all = parameter_count(source.config());
  if (const auto bytes = store ? std::nullopt : bytes_of_small_gguf(path, source.config())) {
    require_space(folder / kGgufInFolder, *bytes, "the model");
    require_finite_weights(source, path, [&](int64_t done) {
      if (on_progress) on_progress(done / 2);
    });
    fs::remove(folder / "model.safetensors");
    const auto second_half = [&](int64_t done) {
      if (on_progress) on_progress(all / 2 + done);
    };
    if (formats::gguf_part_name(path.filename().string()))
      join_parts(formats::Gguf(path), folder / kGgufInFolder, all - all / 2, second_half);
    else
      copy_whole(path, folder / kGgufInFolder, all - all / 2, second_half);
    write_file(folder / "config.json", to_json(source.config()).dump(2) + "\n");
    return;
  }
  const at::ScalarType type = store.value_or(source.type());
  require_space(folder / "model.safetensors", static_cast<uint64_t>(all) * c10::elementSize(type), "the model");
  int64_t done = 0;
  const Weights weights = assemble_weights(source.config(), type, path, [&](const std::string& name) {
    const Tensor read = source.read(name);
    done += read.numel();
    if (on_progress) on_progress(done);
    return read;
  });
  // A norm that was changed is none that a half precision was made for.
  const auto norms = source.changes_norms() ? std::optional(at::kFloat) : std::nullopt;
  save_model(folder, source.config(), weights, type, norms);
}

}  // namespace ingrain
