#include "serve/engine/state_files.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/unfinished.h"
#include "ttt/memory_file.h"

#include <algorithm>
#include <set>

namespace ingrain::serve {
namespace {

constexpr const char* kExtension = ".memory";
constexpr int64_t kRowsAtOnce = 1000;

/// Calls visit(row) for all rows with a file by rising time of use, until it says false.
template <class Visit>
void each_filed(Records& records, const Visit& visit) {
  int64_t used = 0, order = 0;
  while (true) {
    const std::vector<StateRow> rows = records.filed_states(used, order, kRowsAtOnce);
    for (const StateRow& row : rows)
      if (!visit(row)) return;
    if (static_cast<int64_t>(rows.size()) < kRowsAtOnce) return;
    used = rows.back().used;
    order = rows.back().order;
  }
}

}  // namespace

StateFiles::StateFiles(const Model& model, std::shared_ptr<Records> records, const EngineOptions& options)
    : model_(model), records_(std::move(records)), options_(options) {
  if (!any()) return;
  std::filesystem::create_directories(options_.folder);
  remove_dead_unfinished(options_.folder);
  std::set<std::string> filed;
  each_filed(*records_, [&](const StateRow& row) {
    if (!std::filesystem::exists(file_of(row.id)))
      records_->drop_file(row.id);
    else if (filed.insert(row.id).second)
      size_ = {size_.files + 1, size_.bytes + row.bytes};
    return true;
  });
  // A server that was killed between a state's file and its row leaves the file. Another server that shares the folder
  // may be between the two just now.
  const auto an_hour_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(options_.folder))
    if (entry.path().extension() == kExtension && !filed.contains(entry.path().stem().string()) &&
        entry.last_write_time(ignored) < an_hour_ago)
      std::filesystem::remove(entry.path(), ignored);
}

std::filesystem::path StateFiles::file_of(const std::string& id) const { return options_.folder / (id + kExtension); }

void StateFiles::put(StateRow row, const ttt::Memory& memory) {
  ttt::save_memory(file_of(row.id), model_.parts().network, memory);
  row.created = row.used = unix_seconds();
  row.has_file = true;
  const uint64_t bytes = row.bytes;
  records_->put({std::move(row)}, {});
  std::lock_guard lock(mutex_);
  size_ = {size_.files + 1, size_.bytes + bytes};
}

ttt::Memory StateFiles::load(const std::string& id) const {
  const std::filesystem::path file = file_of(id);
  if (!std::filesystem::exists(file)) throw NotFound(fmt::format("the state '{}' is no longer kept", id));
  const ttt::Room room = options_.shared_folder ? ttt::Room::none : ttt::Room::mapped;
  return ttt::load_memory(file, model_.parts().network, room);
}

void StateFiles::touch(const std::string& id) { records_->touch(id, unix_seconds()); }

void StateFiles::remove(const std::string& id, uint64_t bytes) {
  records_->set_file(id, false);
  remove_file(id, bytes);
}

void StateFiles::remove_file(const std::string& id, uint64_t bytes) {
  std::error_code ignored;
  std::filesystem::remove(file_of(id), ignored);
  std::lock_guard lock(mutex_);
  size_ = {size_.files - 1, size_.bytes - std::min(size_.bytes, bytes)};
}

bool StateFiles::too_large() const {
  std::lock_guard lock(mutex_);
  return options_.disk_budget > 0 && size_.bytes > options_.disk_budget;
}

std::vector<std::string> StateFiles::keep_limits() {
  std::vector<std::string> out;
  if (options_.max_age_seconds <= 0 && !too_large()) return out;
  each_filed(*records_, [&](const StateRow& row) {
    const bool old =
        options_.max_age_seconds > 0 && static_cast<double>(unix_seconds() - row.used) > options_.max_age_seconds;
    if (!old && !too_large()) return false;
    if (records_->named(row.id, "memory")) return true;
    records_->drop_file(row.id);
    remove_file(row.id, row.bytes);
    out.push_back(row.id);
    return true;
  });
  return out;
}

StateFiles::Size StateFiles::size() const {
  std::lock_guard lock(mutex_);
  return size_;
}

}  // namespace ingrain::serve
