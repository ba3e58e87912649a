// libingrain_mpi.so: mpi_calls.h by an MPI library.
#include "distributed/mpi_calls.h"

#include <mpi.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

int g_rank = 0, g_ranks = 1;
std::string g_error;

const char* told(int code, const char* what) {
  if (code == MPI_SUCCESS) return nullptr;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  g_error = std::string(what) + ": " + std::string(text, static_cast<size_t>(length));
  return g_error.c_str();
}

/// Begins and sizes of N parts, in bytes.
struct Parts {
  const uint64_t *begins_R, *sizes_R;
};

/// MPI counts in int: where bytes would be too many, in units that all parts are multiples of.
class Unit {
 public:
  explicit Unit(std::initializer_list<Parts> all) {
    constexpr uint64_t kBytes = 64;
    uint64_t most = 0;
    bool whole = true;
    for (const Parts& parts : all)
      for (int r = 0; r < g_ranks; ++r) {
        most = std::max(most, parts.begins_R[r] + parts.sizes_R[r]);
        whole = whole && parts.begins_R[r] % kBytes == 0 && parts.sizes_R[r] % kBytes == 0;
      }
    if (most > INT_MAX && whole) {
      bytes_ = kBytes;
      MPI_Type_contiguous(static_cast<int>(kBytes), MPI_BYTE, &type_);
      MPI_Type_commit(&type_);
    }
    fits_ = most / bytes_ <= INT_MAX;
  }
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;
  ~Unit() {
    if (bytes_ > 1) MPI_Type_free(&type_);
  }

  MPI_Datatype type() const { return type_; }
  bool fits() const { return fits_; }
  std::vector<int> in_units(const uint64_t* bytes_R) const {
    std::vector<int> out;
    for (int r = 0; r < g_ranks; ++r) out.push_back(static_cast<int>(bytes_R[r] / bytes_));
    return out;
  }

 private:
  uint64_t bytes_ = 1;
  bool fits_ = true;
  MPI_Datatype type_ = MPI_BYTE;
};

const char* begin(int* rank, int* ranks) {
  int initialized = 0, provided = 0;
  MPI_Initialized(&initialized);
  if (!initialized) {
    if (const char* error = told(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread"))
      return error;
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &g_rank);
  MPI_Comm_size(MPI_COMM_WORLD, &g_ranks);
  *rank = g_rank, *ranks = g_ranks;
  return nullptr;
}

const char* gather(void* data, const uint64_t* begins_R, const uint64_t* sizes_R) {
  const Unit unit({{begins_R, sizes_R}});
  if (!unit.fits()) return "MPI_Allgatherv: more bytes than MPI can count";
  const std::vector<int> places = unit.in_units(begins_R), counts = unit.in_units(sizes_R);
  return told(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, data, counts.data(), places.data(), unit.type(),
                             MPI_COMM_WORLD),
              "MPI_Allgatherv");
}

/// An exchange that is under way: MPI reads places and counts until it has ended.
struct Exchange {
  MPI_Request request = MPI_REQUEST_NULL;
  std::vector<int> out_places, out_counts, in_places, in_counts;
};
std::map<uint64_t, Exchange> g_exchanges;
uint64_t g_begun = 0;

const char* begin_exchange(const void* out, const uint64_t* out_begins_R, const uint64_t* out_sizes_R, void* in,
                           const uint64_t* in_begins_R, const uint64_t* in_sizes_R, uint64_t* exchange) {
  const Unit unit({{out_begins_R, out_sizes_R}, {in_begins_R, in_sizes_R}});
  if (!unit.fits()) return "MPI_Ialltoallv: more bytes than MPI can count";
  Exchange& x = g_exchanges[*exchange = ++g_begun];
  x.out_places = unit.in_units(out_begins_R), x.out_counts = unit.in_units(out_sizes_R);
  x.in_places = unit.in_units(in_begins_R), x.in_counts = unit.in_units(in_sizes_R);
  return told(MPI_Ialltoallv(out, x.out_counts.data(), x.out_places.data(), unit.type(), in, x.in_counts.data(),
                             x.in_places.data(), unit.type(), MPI_COMM_WORLD, &x.request),
              "MPI_Ialltoallv");
}

const char* end_exchange(uint64_t exchange, int wait, int* ended) {
  Exchange& x = g_exchanges.at(exchange);
  *ended = 1;
  const char* const error = wait ? told(MPI_Wait(&x.request, MPI_STATUS_IGNORE), "MPI_Wait")
                                 : told(MPI_Test(&x.request, ended, MPI_STATUS_IGNORE), "MPI_Test");
  if (*ended) g_exchanges.erase(exchange);
  return error;
}

const char* end() { return told(MPI_Finalize(), "MPI_Finalize"); }

}  // namespace

extern "C" __attribute__((visibility("default"))) const IngrainMpiCalls* ingrain_mpi() {
  static const IngrainMpiCalls calls{kIngrainMpiVersion, begin, gather, begin_exchange, end_exchange, end};
  return &calls;
}
