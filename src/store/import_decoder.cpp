#include "store/import_decoder.h"

#include "base/error.h"
#include "store/assemble_weights.h"
#include "store/model_files.h"
#include "store/model_tokenizer.h"

namespace ingrain {
namespace fs = std::filesystem;

void import_decoder(const DecoderSource& source, const fs::path& path, const fs::path& folder,
                    std::optional<at::ScalarType> store) {
  require(!fs::exists(folder) || !fs::equivalent(path, folder),
          "{}: is the model itself; choose another folder for the imported one", folder.string());
  copy_tokenizer(path, folder);  // first: what is not supported shows before the long part
  const at::ScalarType type = store.value_or(source.type());
  const Weights weights =
      assemble_weights(source.config(), type, path, [&](const std::string& name) { return source.read(name); });
  save_model(folder, source.config(), weights, type);
}

}  // namespace ingrain
