// What a rank of a run owns of the trained parameters: a stretch of the gradients' flat memory, which cuts parameters
// where it begins and ends. All of it in a run of one process.
#pragma once

#include "distributed/communicator.h"
#include "ttt/gradient_sums.h"

namespace ingrain::train {

/// Stretches begin and end at multiples of this many numbers: sums over blocks are the same whoever owns them, and
/// vector kernels meet the same lanes.
constexpr int64_t kBlock = 4096;

/// Numbers [begin, end) of GradientSums::flat().
struct Stretch {
  int64_t begin, end;
};

/// Every rank's, by rank: equal ones, of whole blocks.
std::vector<Stretch> stretches_of(const GradientSums& gradients, int ranks);

/// A part of a trained parameter that lies within a stretch.
struct Piece {
  std::string name;
  ParameterKind kind;
  std::vector<int64_t> shape;  // the whole parameter's
  int64_t first, count;        // numbers of the parameter
  int64_t at;                  // in flat()
};

/// In visit order.
std::vector<Piece> pieces_of(const GradientSums& gradients, const Stretch& own);

/// A piece's numbers of the parameter itself, [n], sharing its memory. REQUIRES: contiguous.
inline Tensor numbers_of(const Piece& piece, const Tensor& parameter) {
  return parameter.detach().view({-1}).narrow(0, piece.first, piece.count);
}

/// The sum of squares of each block of `x_n`, [blocks], fp64, on the CPU: the same bits whatever stretch a block is
/// part of and however many threads there are. Where `x_n` is elsewhere, sums are that device's.
Tensor block_squares(const Tensor& x_n);

}  // namespace ingrain::train
