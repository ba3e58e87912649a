#include "distributed/communicator.h"

#include "base/clock.h"
#include "base/error.h"

#include <algorithm>

namespace ingrain::distributed {
namespace {

class Alone final : public Communicator {
 public:
  int rank() const override { return 0; }
  int ranks() const override { return 1; }

 private:
  void do_gather(std::byte*, Parts) override {}
  uint64_t do_begin_exchange(const std::byte* out, Parts out_R, std::byte* in, Parts in_R) override {
    std::copy_n(out + out_R[0].begin, out_R[0].size, in + in_R[0].begin);
    return 0;
  }
  bool do_end_exchange(uint64_t, bool) override { return true; }
};

}  // namespace

Communicator& alone() {
  static Alone one;
  return one;
}

void Communicator::gather(std::byte* data, Parts parts_R) {
  const auto start = std::chrono::steady_clock::now();
  do_gather(data, parts_R);
  traffic_.bytes_sent += parts_R[static_cast<size_t>(rank())].size * static_cast<uint64_t>(ranks() - 1);
  if (!alone()) traffic_.seconds += seconds_since(start);
}

uint64_t Communicator::begin_exchange(const std::byte* out, Parts out_R, std::byte* in, Parts in_R) {
  const auto start = std::chrono::steady_clock::now();
  const uint64_t exchange = do_begin_exchange(out, out_R, in, in_R);
  for (size_t r = 0; r < out_R.size(); ++r)
    if (r != static_cast<size_t>(rank())) traffic_.bytes_sent += out_R[r].size;
  if (!alone()) traffic_.seconds += seconds_since(start);
  return exchange;
}

bool Communicator::done(uint64_t exchange) {
  const auto start = std::chrono::steady_clock::now();
  const bool ended = do_end_exchange(exchange, /*wait=*/false);
  if (!alone()) traffic_.seconds += seconds_since(start);
  return ended;
}

void Communicator::wait(uint64_t exchange) {
  const auto start = std::chrono::steady_clock::now();
  do_end_exchange(exchange, /*wait=*/true);
  if (!alone()) traffic_.seconds += seconds_since(start);
}

std::vector<std::string> Communicator::gather_texts(const std::string& mine) {
  const uint64_t size = mine.size();
  std::vector<Part> parts_R;
  uint64_t end = 0;
  for (const uint64_t n : gather_numbers<uint64_t>({&size, 1})) {
    parts_R.push_back({end, n});
    end += n;
  }
  std::string all(end, '\0');
  std::copy(mine.begin(), mine.end(),
            all.begin() + static_cast<std::ptrdiff_t>(parts_R[static_cast<size_t>(rank())].begin));
  gather(reinterpret_cast<std::byte*>(all.data()), parts_R);
  std::vector<std::string> out;
  for (const Part& part : parts_R) out.push_back(all.substr(part.begin, part.size));
  return out;
}

bool Communicator::any(bool mine) {
  const uint8_t word = mine ? 1 : 0;
  const std::vector<uint8_t> all = gather_numbers<uint8_t>({&word, 1});
  return std::find(all.begin(), all.end(), 1) != all.end();
}

std::vector<Part> parts_of(uint64_t count, uint64_t unit, int ranks) {
  const auto n = static_cast<uint64_t>(ranks);
  const uint64_t units = (count + unit - 1) / unit, each = (units + n - 1) / n * unit;
  std::vector<Part> out;
  for (uint64_t r = 0; r < n; ++r) {
    const uint64_t begin = std::min(r * each, count);
    out.push_back({begin, std::min(each, count - begin)});
  }
  return out;
}

void together(Communicator& ranks, const std::function<void()>& work) {
  if (ranks.alone()) return work();
  std::string mine;
  try {
    work();
  } catch (const std::exception& e) {
    mine = e.what();
    if (mine.empty()) mine = "an error without a text";
  }
  const std::vector<std::string> said = ranks.gather_texts(mine);
  for (size_t r = 0; r < said.size(); ++r)
    if (!said[r].empty()) throw Agreed(r == 0 ? said[r] : fmt::format("rank {}: {}", r, said[r]));
}

}  // namespace ingrain::distributed
