// Writing greedily after a memory, token by token, as generate() does, without text.
#pragma once

#include "model/device.h"
#include "session/sampler.h"
#include "session/session.h"

namespace ingrain::bench {

/// A copy of the memory that it begins with. What it is told of reading must outlive it.
class Writer {
 public:
  Writer(const Network& model, const ttt::Memory& from, const ttt::ReadOptions& reading)
      : session_(model, from.fork()), reading_(reading), logits_V_(room_for_download(session_.logits_BV()[0])) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void write_token() {
    logits_V_.copy_(session_.logits_BV()[0]);
    const int32_t token = sampler_.sample({logits_V_.const_data_ptr<float>(), static_cast<size_t>(logits_V_.numel())});
    sampler_.accept(token);
    session_.write(ttt::as_batch({&token, 1}), reading_);
  }

  int64_t steps() const { return session_.steps(); }
  const ops::Graph& graph() const { return *session_.graph(); }

 private:
  static SamplingOptions greedy() {
    SamplingOptions out;
    out.temperature = 0;
    return out;
  }

  session::Session session_;
  const ttt::ReadOptions& reading_;
  const Tensor logits_V_;
  session::Sampler sampler_ = session::Sampler(greedy());
};

}  // namespace ingrain::bench
