#include "session/batch.h"

#include "base/error.h"
#include "model/vocabulary.h"
#include "session/session.h"

#include <algorithm>

namespace ingrain::session {
namespace {

constexpr int64_t kRowsWithoutUse = 4;  // stay for who comes next

}  // namespace

Batch::Batch(const Network& model) : model_(model) {}

Batch::~Batch() {
  for (Session* session : everyone()) session->leave();
}

std::vector<Session*> Batch::everyone() const {
  std::vector<Session*> out;
  for (Session* seat : seats_)
    if (seat && (out.empty() || out.back() != seat)) out.push_back(seat);
  return out;
}

bool Batch::has(const Session& session) const { return session.batch_ == this; }
int64_t Batch::sessions() const { return static_cast<int64_t>(everyone().size()); }

void Batch::seat_anew(int64_t rows) {
  const std::vector<Session*> all = everyone();
  for (Session* session : all) session->leave_rows();
  step_.reset();  // its memory is the next one's
  step_ = std::make_unique<TokenStep>(model_, rows);
  seats_.assign(static_cast<size_t>(rows), nullptr);
  int64_t first = 0;
  for (Session* session : all) {
    session->rows_.first = first;
    std::fill_n(seats_.begin() + first, session->rows_.count, session);
    first += session->rows_.count;
  }
}

void Batch::add(Session& session) {
  require(&session.model_ == &model_, "a batch is of one model: this session is of another");
  if (session.batch_ == this) return;
  if (session.batch_) session.batch_->remove(session);
  if (session.own_.get() != this) session.own_.reset();
  const int64_t count = session.memory_.batch(), rows = static_cast<int64_t>(seats_.size());
  auto place = std::search_n(seats_.begin(), seats_.end(), count, static_cast<Session*>(nullptr));
  if (place == seats_.end()) {
    const int64_t taken = rows - std::count(seats_.begin(), seats_.end(), nullptr);
    seat_anew(taken + count <= rows ? rows : std::max(2 * rows, taken + count));
    place = seats_.begin() + taken;  // everyone sits in front
  }
  session.batch_ = this;
  session.rows_ = {place - seats_.begin(), count};
  std::fill_n(place, count, &session);
}

void Batch::remove(Session& session) {
  require(has(session), "a session that is not in this batch cannot leave it");
  session.leave();
  std::replace(seats_.begin(), seats_.end(), &session, static_cast<Session*>(nullptr));
  const int64_t rows = static_cast<int64_t>(seats_.size()),
                taken = rows - std::count(seats_.begin(), seats_.end(), nullptr);
  if (taken > 0 ? 4 * taken <= rows : rows > kRowsWithoutUse) seat_anew(std::max<int64_t>(2 * taken, 1));
}

void Batch::check(std::span<const Turn> turns) const {
  for (size_t i = 0; i < turns.size(); ++i) {
    const auto& [session, token_B1, options] = turns[i];
    require(has(session), "a session that is not in this batch cannot take part in its step; add() it first");
    for (size_t j = 0; j < i; ++j) require(&turns[j].session != &session, "a session reads one token a step, not two");
    ttt::require_something_read(session.memory_);
    require(
        token_B1.is_cpu() && token_B1.dim() == 2 && token_B1.size(0) == session.rows_.count && token_B1.size(1) == 1,
        "a step takes one token of each of the {} sequences of a session's memory, [B, 1] on the CPU",
        session.rows_.count);
    require_in_vocabulary(token_B1, model_.config.vocab_size, "tokens");
  }
}

void Batch::make_room(int64_t needed) {
  if (!step_->lacks_room(needed)) return;
  for (Session* session : everyone()) session->leave_rows();
  step_->make_room(needed);
}

void Batch::step(std::span<const Turn> turns) {
  check(turns);
  const at::NoGradGuard no_grad;
  std::exception_ptr thrown;
  int64_t needed = 0;
  for (const auto& [session, token_B1, options] : turns) {
    const std::exception_ptr from_step = session.finish_chunk(token_B1, options);
    if (!thrown) thrown = from_step;
    needed = std::max(needed, session.position() + 1);
  }
  make_room(needed);
  std::vector<TokenStep::Input> inputs(seats_.size());
  for (const auto& [session, token_B1, options] : turns) {
    session.load();
    const auto token = token_B1.accessor<int64_t, 2>();
    for (int64_t b = 0; b < session.rows_.count; ++b)
      inputs[static_cast<size_t>(session.rows_.first + b)] = {token[b][0], session.position()};
  }
  for (Session* session : everyone())
    if (inputs[static_cast<size_t>(session->rows_.first)].position < 0) session->keep_output();
  step_->run(inputs);
  for (const auto& [session, token_B1, options] : turns) session.has_read(token_B1, options);
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace ingrain::session
