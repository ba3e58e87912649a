// What stands behind the public classes; for src/api and the commands, which may look inside.
#pragma once

#include "tokenizer/tokenizer.h"
#include "ingrain/tensors.h"
#include "model/network.h"
#include "session/session.h"

namespace ingrain {

struct Model::Parts {
  Network network;
  std::optional<tokenizer::Tokenizer> tokenizer_if_any;
  std::filesystem::path folder;  // or file: where it was opened

  /// Error if there is none.
  const tokenizer::Tokenizer& tokenizer() const;
  const tokenizer::Tokenizer* maybe_tokenizer() const { return tokenizer_if_any ? &*tokenizer_if_any : nullptr; }
};

/// The session outlives the calls: what makes writing fast is kept from one answer to the next.
struct Memory::State {
  Model model;
  session::Session session;

  State(Model of, ttt::Memory memory, session::Checkpoints checkpoints = session::Checkpoints())
      : model(std::move(of)), session(model.parts().network, std::move(memory), std::move(checkpoints)) {}

  const Network& network() const { return model.parts().network; }
  const tokenizer::Tokenizer& tokenizer() const { return model.parts().tokenizer(); }
};

/// The weights by their names, the tensors themselves; without those in few bits, which have no numbers in memory.
NamedTensors named(const ModelConfig& config, const Weights& weights);

}  // namespace ingrain
