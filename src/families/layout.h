// How other programs' files hold a family's tensors, where that is otherwise than ours (model/parameters.h).
#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace ingrain::families {

struct TensorLayout {
  /// A block's tensors that are called otherwise: our name after "model.layers.N.", and theirs.
  std::vector<std::pair<std::string_view, std::string_view>> renamed = {};
  /// q, k and v are one tensor, and so are the MLP's gate and up: the rows of our stacked parameters.
  bool fused = false;
  /// q's tensor holds, head by head, head_dim rows of q and then head_dim rows of the output's gate.
  bool gate_in_q = false;
  /// Norms hold w - 1, but for those of recurrent mixers' own.
  bool norms_less_one = false;
  /// What the final norm's weights are multiplied by: logits are linear in them.
  double final_norm_times = 1;

  /// Whether norms' numbers are others than the file's.
  bool changes_norms() const { return norms_less_one || final_norm_times != 1; }
};

}  // namespace ingrain::families
