// What stands behind the public classes; for src/api and the commands, which may look inside.
#pragma once

#include "tokenizer/tokenizer.h"
#include "ingrain/memory.h"
#include "model/network.h"
#include "session/checkpoints.h"

namespace ingrain {

struct Model::Parts {
  Network network;
  tokenizer::Tokenizer tokenizer;
  std::filesystem::path folder;  // or file: where it was opened

  /// The public model of a network that was opened from `folder`, whose tokenizer it loads.
  static Model join(Network network, const std::filesystem::path& folder);
};

struct Memory::State {
  Model model;
  ttt::Memory memory;
  ttt::BoundaryRing boundaries;

  const Network& network() const { return model.parts().network; }
  const tokenizer::Tokenizer& tokenizer() const { return model.parts().tokenizer; }
};

}  // namespace ingrain
