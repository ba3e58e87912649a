// The computing thread's own: what is being read, what is being written, and whose turn it is.
#pragma once

#include "serve/engine/job.h"
#include "session/batch.h"
#include "session/session.h"
#include "session/text_writer.h"

#include <deque>
#include <optional>

namespace ingrain::serve {

/// Reading is cut at multiples of a slice of the memory's position, whether others wait or not, so that what becomes of
/// a memory does not depend on who else was there. Slices go in turns to whom the least is left to read, and to who
/// waited longest. While some write, reading gets half of the time, or more where more read than write. One thread.
class Worker {
 public:
  Worker(const Model& model, States& states, int64_t slice);
  ~Worker();

  void begin(const std::shared_ptr<Job>& job);
  /// What a job will take about, besides its states; and what all of those in work will.
  uint64_t expected_bytes(const Job& job) const;
  uint64_t expected_bytes() const { return expected_; }
  bool idle() const { return readings_.empty() && texts_.empty(); }
  int64_t jobs() const;
  /// A slice of one reading, or a token of all texts, as it is due. What goes wrong ends the jobs that it concerns.
  void step();

  struct Counts {
    int64_t read = 0, written = 0, steps = 0;
    double seconds = 0;
    uint64_t bytes = 0;  // of sessions and rows
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Reading {
    std::shared_ptr<Job> job;
    std::unique_ptr<session::Session> session;  // nullptr: it was not its turn yet
    std::vector<Mlp> weights;        // that it began with: as long as it has them, a state's copy shares them
    size_t part = 0, part_done = 0;  // of what is read again, and of its tokens
    size_t done = 0;                 // of the tokens after it
    size_t read = 0;                 // of all, those that this one has read
    NodePtr node;                    // the newest state kept
    size_t node_at = 0;              // tokens that were read by then
    ttt::ReadOptions options;
  };
  struct Text {
    std::shared_ptr<Job> job;
    size_t choice = 0;
    std::unique_ptr<session::Session> session;
    std::vector<Mlp> weights;  // as Reading's
    std::unique_ptr<session::TextWriter> writer;
    std::unique_ptr<Constraint> constraint;
    NodePtr node;  // what it goes on from
    ttt::ReadOptions options;
    std::vector<WrittenToken> scores;
    size_t read = 0;  // of the tokens that were drawn
    struct BeforeStop {
      ttt::Memory memory;
      size_t read;
    };
    std::optional<BeforeStop> before_stop;  // while a stop string may have begun
    bool over = false;
  };

  // prefill.cpp
  Reading next_reading();
  bool waits_for_another(const Reading& reading) const;
  void start(Reading& reading);
  void read_slice(Reading& reading);
  void read_part(Reading& reading);
  void has_read_some(Reading& reading, size_t tokens);
  void tell_reading(const Reading& reading);
  void keep(Reading& reading);
  void has_read(Reading& reading);
  // decode.cpp
  void begin_writing(Reading& reading);
  void write_step();
  struct Drawing {
    Text* text;
    Tensor logits_V;  // on the CPU
    int32_t token = -1;
    std::exception_ptr error = {};
  };
  /// All texts' next tokens. Threads share the work but for texts under a constraint, one after the other.
  std::vector<Drawing> draw_all();
  int32_t draw(Text& text, const Tensor& logits_V);
  /// Text for the caller, and the scores of the tokens since the last.
  void give(Text& text, std::string more);
  /// Of a special token that the caller wants to see; "" of all others.
  std::string mark_of(const Job& job, int32_t token) const;
  void keep_before_stop(Text& text);
  void go_back(Text& text);
  void end(Text& text);
  bool ends_unread(const Text& text) const;
  WrittenToken score_of(const Job& job, std::span<const float> logits, int32_t token) const;

  void fail(const std::shared_ptr<Job>& job, std::exception_ptr error);
  void clean();
  void count_bytes();
  ttt::ReadOptions options_of(Job& job, bool written, int64_t choice);

  const Model model_;
  const Network& network_;
  States& states_;
  const int64_t slice_;
  const uint64_t step_bytes_;
  const ttt::Memory empty_;  // shrunk
  session::Batch batch_;
  std::deque<Reading> readings_;  // the first is next
  std::vector<std::unique_ptr<Text>> texts_;
  std::vector<std::shared_ptr<Job>> failed_;
  double reading_owes_ = 0;  // seconds that texts have before the next slice
  bool shortest_next_ = false;
  uint64_t expected_ = 0;
  std::vector<uint64_t> allowed_;
  Counts counts_;
};

}  // namespace ingrain::serve
