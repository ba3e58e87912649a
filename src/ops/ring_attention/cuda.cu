// Attention over a ring of keys on a GPU. The seen keys are cut into segments, so that one sequence with few heads
// fills the GPU. A block takes a segment of one head of keys, together with the query heads that share it, so that keys
// and values are read once; its threads form teams that take a key at a time and keep a softmax of their own, with a
// running maximum. Teams are added up at the end, and so are segments, by a second kernel. Scores are kept as powers of
// two.
#include "ops/ring_attention/cuda.h"

#include "ops/cuda/device_math.cuh"
#include "ops/cuda/launch.cuh"

namespace ingrain::ops::cuda {
namespace {

constexpr int kWarps = 4, kThreads = 32 * kWarps;
constexpr int64_t kFewestKeys = 64;  // of a segment that is worth a block
constexpr int kCombineThreads = 256;

/// How a head's row is spread over a team: kVecs vectors of N neighbours for each of kLanes lanes. kHeads: query heads
/// of a block.
template <class T_, int N_, int kLanes_, int kVecs_, int kHeads_>
struct Team {
  using T = T_;
  static constexpr int N = N_, kLanes = kLanes_, kVecs = kVecs_, kHeads = kHeads_;
  static constexpr int kTeams = kThreads / kLanes, kWidth = N * kLanes * kVecs;
  // Registers are few: keys whose rows are under way at once, and blocks that a large GPU runs at once, without a
  // second round.
  static constexpr int kUnroll = kHeads * kVecs * N > 32 ? 2 : 4, kBlocks = kHeads * kVecs * N < 32 ? 512 : 256;
  __device__ static int column(int vec) { return (vec * kLanes + threadIdx.x % kLanes) * N; }
  /// Blocks that share a head of keys.
  static int64_t chunks(const RingCall& call) { return divide_up(call.groups, kHeads); }
};

/// A lane's part of a row; beyond the row's end, something of the row.
template <class Team>
struct Row {
  Vec<typename Team::T, Team::N> vec[Team::kVecs];

  /// No branches: many rows are asked for before the first is used.
  __device__ void load(const typename Team::T* from, int d) {
#pragma unroll
    for (int i = 0; i < Team::kVecs; ++i)
      vec[i] = load_once<Team::N>(from + (Team::column(i) < d ? Team::column(i) : 0));
  }
  __device__ float operator[](int i) const { return to_float(vec[i / Team::N].x[i % Team::N]); }
};

/// What is relative to one maximum times this is relative to a higher one. Where there was no key yet, both may be
/// -infinity.
__device__ inline float share(float max, float highest) { return max == -INFINITY ? 0 : exp2f(max - highest); }

/// 0 where there was no key at all.
__device__ inline float mean(float o, float sum) { return sum == 0 ? 0 : o / sum; }

/// What a team knows of one head: the softmax's maximum and sum, and its part of the unnormalized output.
template <class Team>
struct Softmax {
  static constexpr int kMine = Team::kVecs * Team::N;
  float max = -INFINITY, sum = 0, o[kMine] = {};

  __device__ void scale(float factor) {
    sum *= factor;
#pragma unroll
    for (int i = 0; i < kMine; ++i) o[i] *= factor;
  }
  /// Adds the softmax over other keys, of the lane at this distance.
  __device__ void add_lane(int distance) {
    const float other = __shfl_xor_sync(0xffffffffu, max, distance), highest = fmaxf(max, other);
    scale(share(max, highest));
    max = highest;
    // Both lanes have scaled theirs.
    sum += __shfl_xor_sync(0xffffffffu, sum, distance);
#pragma unroll
    for (int i = 0; i < kMine; ++i) o[i] += __shfl_xor_sync(0xffffffffu, o[i], distance);
  }
};

/// The segment of a block: seen positions [begin, end), counted from the first that is seen, which lies in first_slot.
struct Segment {
  int begin, end, first_slot, slots;
  __device__ Segment(const RingCall& call, int64_t batch, unsigned index) : slots(static_cast<int>(call.slots)) {
    const int64_t given = call.position[batch], position = given < 0 ? -1 : given;
    const unsigned seen = static_cast<unsigned>(position < call.window ? position + 1 : call.window);
    const unsigned segments = static_cast<unsigned>(call.segments), length = (seen + segments - 1) / segments;
    begin = static_cast<int>(index * length < seen ? index * length : seen);
    end = static_cast<int>(begin + length < seen ? begin + length : seen);
    first_slot = static_cast<int>((position + 1 - seen) % call.slots);
  }
  __device__ int slot(int key) const { return key < slots - first_slot ? first_slot + key : first_slot + key - slots; }
};

/// One round: Team::kUnroll keys of every team, from `key` on, into the team's softmaxes. k, v: the first slot's row.
template <class Team>
__device__ void attend(const RingCall& call, const Segment& segment, int key, const typename Team::T* k_at,
                       const typename Team::T* v_at, const float (&q)[Team::kHeads][Softmax<Team>::kMine],
                       Softmax<Team> (&of)[Team::kHeads]) {
  constexpr int kMine = Softmax<Team>::kMine, kUnroll = Team::kUnroll;
  const int64_t stride = call.kv_heads * call.head_dim;
  Row<Team> k[kUnroll], v[kUnroll];
  bool exists[kUnroll];
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    exists[u] = key + u * Team::kTeams < segment.end;
    const int64_t at = segment.slot(exists[u] ? key + u * Team::kTeams : segment.end - 1) * stride;
    k[u].load(k_at + at, static_cast<int>(call.head_dim));
    v[u].load(v_at + at, static_cast<int>(call.head_dim));
  }
  float p[kUnroll][Team::kHeads];  // first the scores
#pragma unroll
  for (int u = 0; u < kUnroll; ++u)
#pragma unroll
    for (int h = 0; h < Team::kHeads; ++h) {
      float s = 0;
#pragma unroll
      for (int i = 0; i < kMine; ++i) s += q[h][i] * k[u][i];
#pragma unroll
      for (int distance = Team::kLanes / 2; distance > 0; distance /= 2) s += __shfl_xor_sync(0xffffffffu, s, distance);
      p[u][h] = exists[u] ? s : -INFINITY;
    }
#pragma unroll
  for (int h = 0; h < Team::kHeads; ++h) {
    float highest = of[h].max;
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) highest = fmaxf(highest, p[u][h]);
    of[h].scale(share(of[h].max, highest));
    of[h].max = highest;
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      p[u][h] = share(p[u][h], highest);
      of[h].sum += p[u][h];
    }
  }
#pragma unroll
  for (int u = 0; u < kUnroll; ++u)
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      const float v_i = v[u][i];
#pragma unroll
      for (int h = 0; h < Team::kHeads; ++h) of[h].o[i] += p[u][h] * v_i;
    }
}

/// Where a head's result goes: to o where there is one segment, else to its part.
template <class T>
__device__ void store_result(const RingCall& call, int64_t head, int64_t segment, int column, float o, float max,
                             float sum) {
  if (!call.parts) {
    static_cast<T*>(call.o)[head * call.head_dim + column] = from_float<T>(mean(o, sum));
    return;
  }
  float* const to = call.parts + (head * call.segments + segment) * call.part;
  to[column] = o;
  if (column == 0) to[call.part - 4] = max, to[call.part - 3] = sum;
}

template <class Team>
__global__ void __launch_bounds__(kThreads) attend_segments(RingCall call) {
  using T = typename Team::T;
  constexpr int kHeads = Team::kHeads, kMine = Softmax<Team>::kMine, kTeamsOfWarp = 32 / Team::kLanes;
  const int d = static_cast<int>(call.head_dim), groups = static_cast<int>(call.groups), warp = threadIdx.x / 32;
  const unsigned chunks = (groups + kHeads - 1) / kHeads;
  const int64_t batch = blockIdx.x, kv_head = blockIdx.z / chunks;
  const int in_group = blockIdx.z % chunks * kHeads;
  const int64_t first_head = (batch * call.kv_heads + kv_head) * groups + in_group;
  const Segment segment(call, batch, blockIdx.y);

  float q[kHeads][kMine];  // zero beyond the row's end
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    Row<Team> row;
    row.load(static_cast<const T*>(call.q) + (first_head + (in_group + h < groups ? h : 0)) * d, d);
#pragma unroll
    for (int i = 0; i < kMine; ++i)
      q[h][i] = Team::column(i / Team::N) < d ? row[i] * call.scale * 1.4426950408889634f : 0;  // log2(e)
  }
  Softmax<Team> of[kHeads];
  const int64_t row_offset = (batch * call.slots * call.kv_heads + kv_head) * d;
  const T *const k = static_cast<const T*>(call.k) + row_offset, *const v = static_cast<const T*>(call.v) + row_offset;
  for (int key = segment.begin + warp * kTeamsOfWarp; key < segment.end; key += Team::kUnroll * Team::kTeams)
    attend<Team>(call, segment, key + threadIdx.x % 32 / Team::kLanes, k, v, q, of);

  __shared__ float max_of[kWarps][kHeads], sum_of[kWarps][kHeads];
  float* const o_of = reinterpret_cast<float*>(shared_memory());  // [kWarps][kHeads][kWidth]
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
#pragma unroll
    for (int distance = Team::kLanes; distance < 32; distance *= 2) of[h].add_lane(distance);
    if (threadIdx.x % 32 == 0) max_of[warp][h] = of[h].max, sum_of[warp][h] = of[h].sum;
#pragma unroll
    for (int i = 0; i < kMine; ++i)
      if (threadIdx.x % 32 < Team::kLanes)
        o_of[(warp * kHeads + h) * Team::kWidth + Team::column(i / Team::N) + i % Team::N] = of[h].o[i];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kHeads * Team::kWidth; i += kThreads) {
    const int h = i / Team::kWidth, column = i % Team::kWidth;
    if (column >= d || in_group + h >= groups) continue;
    float highest = -INFINITY, sum = 0, o = 0;
    for (int w = 0; w < kWarps; ++w) highest = fmaxf(highest, max_of[w][h]);
    for (int w = 0; w < kWarps; ++w) {
      const float factor = share(max_of[w][h], highest);
      sum += factor * sum_of[w][h];
      o += factor * o_of[(w * kHeads + h) * Team::kWidth + column];
    }
    store_result<T>(call, first_head + h, blockIdx.y, column, o, highest, sum);
  }
}

/// Adds up a head's segments: a block per head. Threads take four columns of every so many-th segment.
template <class T>
__global__ void __launch_bounds__(kCombineThreads) combine_segments(RingCall call) {
  __shared__ float4 sums[kCombineThreads];
  const int64_t part = call.part, head = blockIdx.x;
  const int fours = static_cast<int>(part / 4 - 1), rows = kCombineThreads / fours;  // segments at once
  const int column = threadIdx.x % fours, row = threadIdx.x / fours, segments = static_cast<int>(call.segments);
  const float* const parts = call.parts + head * segments * part;
  const auto max_of = [&](int s) { return parts[s * part + part - 4]; };
  float highest = -INFINITY, sum = 0;
  for (int s = threadIdx.x % 32; s < segments; s += 32) highest = fmaxf(highest, max_of(s));
  highest = warp_max(highest);
  for (int s = threadIdx.x % 32; s < segments; s += 32) sum += share(max_of(s), highest) * parts[s * part + part - 3];
  sum = warp_sum(sum);
  float4 o{};
#pragma unroll 4
  for (int s = row; s < segments && row < rows; s += rows) {
    const float4 x = *reinterpret_cast<const float4*>(parts + s * part + 4 * column);
    const float factor = share(max_of(s), highest);
    o.x += factor * x.x, o.y += factor * x.y, o.z += factor * x.z, o.w += factor * x.w;
  }
  sums[threadIdx.x] = o;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < call.head_dim; i += kCombineThreads) {
    float total = 0;
    for (int r = 0; r < rows; ++r) total += reinterpret_cast<const float*>(sums + r * fours)[i];
    static_cast<T*>(call.o)[head * call.head_dim + i] = from_float<T>(mean(total, sum));
  }
}

template <class T, int N>
__global__ void store_rows(RingStoreCall call) {
  const int64_t i = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * N;
  if (i >= call.width) return;
  for (int64_t entry = blockIdx.y; entry < call.batch; entry += gridDim.y) {
    const int64_t position = call.position[entry];
    if (position < 0) continue;
    const int64_t from = entry * call.width + i, to = (entry * call.slots + position % call.slots) * call.width + i;
    const auto copy = [&](const void* x, void* ring) {
      *reinterpret_cast<Vec<T, N>*>(static_cast<T*>(ring) + to) =
          *reinterpret_cast<const Vec<T, N>*>(static_cast<const T*>(x) + from);
    };
    copy(call.k_new, call.k);
    copy(call.v_new, call.v);
  }
}

/// run(team) for heads in vectors: as few lanes as hold a row, as many heads as share it (up to eight).
template <class T, class Run>
void for_vector_team(const RingCall& call, Run&& run) {
  constexpr int N = 16 / sizeof(T);
  const int64_t vectors = divide_up(call.head_dim, N), groups = call.groups;
  const auto for_heads = [&](auto lanes, auto each) {
    if (groups == 1)
      run(Team<T, N, lanes(), each(), 1>{});
    else if (groups == 2)
      run(Team<T, N, lanes(), each(), 2>{});
    else if (groups <= 4)
      run(Team<T, N, lanes(), each(), 4>{});
    else
      run(Team<T, N, lanes(), each(), 8>{});
  };
  if (vectors <= 8)
    for_heads(Constant<8>{}, Constant<1>{});
  else if (vectors <= 16)
    for_heads(Constant<16>{}, Constant<1>{});
  else if (vectors <= 32)
    for_heads(Constant<32>{}, Constant<1>{});
  else
    for_heads(Constant<32>{}, Constant<kLargestRingHead / (32 * N)>{});
}

template <class Run>
void for_team(const RingCall& call, Run&& run) {
  for_type(call.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (in_vectors(call.type, call.head_dim, {call.q, call.k, call.v}))
      for_vector_team<T>(call, run);
    else
      run(Team<T, 1, 32, kLargestRingHead / 32, 1>{});  // right, but reads keys once a query head, element by element
  });
}

}  // namespace

int64_t ring_segments(const RingCall& call) {
  const int64_t most = divide_up(call.window, kFewestKeys);
  int64_t segments = 0;
  for_team(call, [&](auto team) { segments = team.kBlocks / (call.batch * call.kv_heads * team.chunks(call)); });
  return segments < 1 ? 1 : segments < most ? segments : most;
}

void ring_attention(const RingCall& call, Stream stream) {
  for_team(call, [&](auto team) {
    using Team = decltype(team);
    const dim3 grid(static_cast<unsigned>(call.batch), static_cast<unsigned>(call.segments),
                    static_cast<unsigned>(call.kv_heads * team.chunks(call)));
    const size_t shared = kWarps * Team::kHeads * Team::kWidth * sizeof(float);
    launch("ring_attention", attend_segments<Team>, {grid, kThreads, shared}, stream, call);
  });
  if (!call.parts) return;
  for_type(call.type, [&](auto tag) {
    launch("ring_attention_combine", combine_segments<typename decltype(tag)::type>,
           {dim3(static_cast<unsigned>(call.batch * call.kv_heads * call.groups)), kCombineThreads}, stream, call);
  });
}

void ring_store(const RingStoreCall& call, Stream stream) {
  for_row_kernel(call.type, 1, in_vectors(call.type, call.width, {call.k_new, call.v_new, call.k, call.v}),
                 [&](auto tag, auto, auto N) {
                   const int threads = threads_for_row(call.width, N());
                   const dim3 grid(static_cast<unsigned>(divide_up(divide_up(call.width, N()), threads)),
                                   static_cast<unsigned>(call.batch < 65535 ? call.batch : 65535));
                   launch("ring_store", store_rows<typename decltype(tag)::type, N()>, {grid, threads}, stream, call);
                 });
}

}  // namespace ingrain::ops::cuda
