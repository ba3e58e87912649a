// What a rank of a run owns of the trained parameters: stretches of the gradients' flat memory, which cut parameters
// where they begin and end. All of it in a run of one process.
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

/// The flat memory in its order, cut into buckets that travel one by one; of each, every rank's stretch: equal ones, of
/// whole blocks, by rank (the last ones may be empty). So all ranks receive at once, whatever part of it is final.
struct Bucket {
  Stretch whole;
  std::vector<Stretch> of_R;
};
std::vector<Bucket> buckets_of(int64_t count, int64_t bucket_size, int ranks);

/// Numbers of a bucket where `ranks` share `count`: whole blocks.
int64_t bucket_size(int64_t count, int ranks);

/// What a rank owns, in the flat memory's order; what lies side by side is one stretch.
std::vector<Stretch> stretches_of(const std::vector<Bucket>& buckets, int rank);

/// Numbers in them.
int64_t count_of(std::span<const Stretch> stretches);

/// A part of a trained parameter that lies within an own stretch.
struct Piece {
  std::string name;
  ParameterKind kind;
  std::vector<int64_t> shape;  // the whole parameter's
  int64_t first, count;        // numbers of the parameter
  int64_t at;                  // in flat()
};

/// In visit order; a parameter may have several.
std::vector<Piece> pieces_of(const GradientSums& gradients, std::span<const Stretch> own);

/// A piece's numbers of the parameter itself, [n], sharing its memory. REQUIRES: contiguous.
inline Tensor numbers_of(const Piece& piece, const Tensor& parameter) {
  return parameter.detach().view({-1}).narrow(0, piece.first, piece.count);
}

/// A tensor's numbers, for who moves them.
inline std::byte* memory_of(const Tensor& x) { return static_cast<std::byte*>(x.data_ptr()); }

/// The sum of squares of each block of `x_n`, [blocks], fp64, on the CPU: the same bits whatever stretch a block is
/// part of and however many threads there are. Where `x_n` is elsewhere, sums are that device's.
Tensor block_squares(const Tensor& x_n);

}  // namespace ingrain::train
