// Which mixer a layer has, and the sizes that a model gives each kind, for all who need not know the kinds: a new one
// recompiles the few files that name them all (mixers/kinds.h). Free of libtorch.
#pragma once

#include <any>
#include <cstdint>
#include <map>
#include <typeindex>

namespace ingrain {

/// Its values: mixers/kinds.h.
enum class MixerKind : uint8_t;
/// What a layer has where nothing is said.
constexpr MixerKind kAttention{};

/// For all of a model's layers of a kind, a struct of that kind: `sizes.of<Mamba2Sizes>()`. As its default where
/// nothing was said.
class MixerSizes {
 public:
  template <class Sizes>
  const Sizes& of() const {
    static const Sizes usual{};
    const auto found = sizes_.find(typeid(Sizes));
    return found == sizes_.end() ? usual : *std::any_cast<Sizes>(&found->second);
  }
  template <class Sizes>
  Sizes& of() {
    return *std::any_cast<Sizes>(&sizes_.try_emplace(typeid(Sizes), Sizes{}).first->second);
  }

 private:
  std::map<std::type_index, std::any> sizes_;
};

}  // namespace ingrain
