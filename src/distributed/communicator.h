// The processes of one training run ("ranks", 0 to N - 1) and what they tell each other. Two movements are enough for
// data parallelism with sharded optimizer state: pieces to their owners (exchange), and owners' parts to everyone
// (gather). Sums are made by who receives, in the order of the ranks, so that no library's algorithm decides a bit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ingrain/error.h"

namespace ingrain::distributed {

/// What a rank has sent and how long it stood in communication, waiting for others included.
struct Traffic {
  uint64_t bytes_sent = 0;
  double seconds = 0;
};

/// A stretch of a piece of memory, in bytes.
struct Part {
  uint64_t begin = 0, size = 0;
};
/// One for each rank, by rank.
using Parts = std::span<const Part>;

/// Not thread-safe: one thread of a rank talks. All ranks call the same functions in the same order. Error, naming what
/// failed, if the transport says so; a rank that has died ends the process (watch.h).
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int ranks() const = 0;
  bool alone() const { return ranks() == 1; }
  bool first() const { return rank() == 0; }  // the one that prints and keeps the log

  /// Rank r's part r of `data` to everyone, in place.
  void gather(std::byte* data, Parts parts_R);
  /// Part r of `out` goes to rank r; part r of `in` is what rank r had for this one. What is for oneself is copied.
  /// Begins that and returns its number. Several may be under way, in the same order on all ranks; the memory belongs
  /// to the transport until done() says so.
  uint64_t begin_exchange(const std::byte* out, Parts out_R, std::byte* in, Parts in_R);
  /// Whether an exchange that is under way has ended; after that its number means nothing. Gives the transport a moment
  /// for all of them: what moves numbers only while it is called moves them now.
  bool done(uint64_t exchange);
  /// Until it has ended.
  void wait(uint64_t exchange);

  /// What each rank has, by rank. REQUIRES: as many on all of them.
  template <class Number>
  std::vector<Number> gather_numbers(std::span<const Number> mine);
  /// What each rank has to say, by rank.
  std::vector<std::string> gather_texts(const std::string& mine);
  /// Whether one of the ranks says so.
  bool any(bool mine);
  /// When it returns, every rank has called it.
  void meet() { any(false); }

  const Traffic& traffic() const { return traffic_; }

  /// To be called last, by all ranks: an orderly end.
  virtual void finish() {}
  /// This rank cannot go on: the others are told why, and end. They need not be listening.
  virtual void fail(const std::string& why) { (void)why; }

 private:
  virtual void do_gather(std::byte* data, Parts parts_R) = 0;
  virtual uint64_t do_begin_exchange(const std::byte* out, Parts out_R, std::byte* in, Parts in_R) = 0;
  virtual bool do_end_exchange(uint64_t exchange, bool wait) = 0;

  Traffic traffic_;
};

/// A run in one process: nobody to talk to.
Communicator& alone();

/// `count` numbers shared among ranks, in equal parts of whole units; the last ones may be shorter, or empty.
std::vector<Part> parts_of(uint64_t count, uint64_t unit, int ranks);

/// What every rank throws now, with the same text: one may speak for all, and all can still end in order.
class Agreed : public Error {
 public:
  using Error::Error;
};

/// Calls `work` on every rank. Agreed, with the text of the first rank that threw an exception, if any did: so nobody
/// waits for who has left. In a process alone its own exceptions go through.
void together(Communicator& ranks, const std::function<void()>& work);

template <class Number>
std::vector<Number> Communicator::gather_numbers(std::span<const Number> mine) {
  const size_t count = mine.size();
  std::vector<Number> out(count * static_cast<size_t>(ranks()));
  std::copy(mine.begin(), mine.end(), out.begin() + static_cast<std::ptrdiff_t>(count * static_cast<size_t>(rank())));
  std::vector<Part> parts_R;
  for (int r = 0; r < ranks(); ++r)
    parts_R.push_back({static_cast<uint64_t>(r) * mine.size_bytes(), mine.size_bytes()});
  gather(reinterpret_cast<std::byte*>(out.data()), parts_R);
  return out;
}

}  // namespace ingrain::distributed
