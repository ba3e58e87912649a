// What stands behind the public classes; for src/api and the commands, which may look inside.
#pragma once

#include "data/tokenizer.h"
#include "ingrain/memory.h"
#include "model/network.h"
#include "ttt/rewind.h"

namespace ingrain {

struct Model::Parts {
  Network network;
  data::Tokenizer tokenizer;
};

struct Memory::State {
  Model model;
  ttt::Memory memory;
  ttt::BoundaryRing boundaries;

  const Network& network() const { return model.parts().network; }
  const data::Tokenizer& tokenizer() const { return model.parts().tokenizer; }
};

}  // namespace ingrain
