#include "ingrain/reader.h"

#include "api/parts.h"
#include "base/error.h"
#include "session/step_numbers.h"
#include "tokenizer/stream_encoder.h"
#include "store/model_tokenizer.h"

namespace ingrain {

struct Reader::State {
  Memory& memory;
  ReaderOptions options;
  std::optional<tokenizer::StreamEncoder> encoder = {};  // of the first text on
  bool in_text = false;                                  // between the first feed() of a text and its finish()
};

namespace {

ttt::ReadOptions engine_options(const ReaderOptions& options) {
  ttt::ReadOptions out;
  out.learn = options.learn;
  out.learn_these = !options.written;
  out.measure_steps = options.measure_steps;
  out.keep_going = options.keep_going;
  if (options.on_step)
    out.on_step = [&options](const ttt::StepReport& step, const ttt::Memory&, const std::vector<Mlp>&) {
      options.on_step(session::numbers_of(step));
    };
  return out;
}

Reading read_into(Memory::State& to, const ReaderOptions& options, std::span<const int32_t> tokens) {
  const ttt::ReadResult result = to.session.read(ttt::as_batch(tokens), engine_options(options));
  const Tensor nll_n = result.nll_Bn[0].narrow(0, 0, result.tokens_read).to(at::kCPU, at::kFloat).contiguous();
  Reading out;
  out.tokens = result.tokens_read;
  out.nll.assign(nll_n.data_ptr<float>(), nll_n.data_ptr<float>() + nll_n.numel());
  out.stopped = out.tokens < static_cast<int64_t>(tokens.size());
  return out;
}

}  // namespace

Reader::Reader(Memory& memory, ReaderOptions options)
    : state_(std::make_unique<State>(State{memory, std::move(options)})) {}
Reader::~Reader() = default;

Reading Reader::feed(std::string_view text) {
  Memory::State& to = state_->memory.state();
  if (!state_->encoder)
    state_->encoder.emplace(to.tokenizer(), tokenizer::EncodeOptions{.parse_special = state_->options.parse_special});
  std::vector<int32_t> tokens = state_->encoder->push(text);
  if (state_->options.begin_text && !state_->in_text && to.session.position() == 0)
    begin_text(to.network().config, tokens);
  state_->in_text = true;
  const auto drop_the_rest = [&] {
    state_->encoder->finish();
    state_->in_text = false;
  };
  try {
    const Reading out = read_into(to, state_->options, tokens);
    if (out.stopped) drop_the_rest();
    return out;
  } catch (...) {
    drop_the_rest();
    throw;
  }
}

Reading Reader::finish() {
  state_->in_text = false;
  if (!state_->encoder) return {};
  return read_into(state_->memory.state(), state_->options, state_->encoder->finish());
}

Reading Reader::read(std::string_view text) {
  Reading out = feed(text);
  if (out.stopped) return out;
  const Reading rest = finish();
  out.tokens += rest.tokens;
  out.nll.insert(out.nll.end(), rest.nll.begin(), rest.nll.end());
  out.stopped = rest.stopped;
  return out;
}

Reading Reader::read(std::span<const int32_t> tokens) {
  if (state_->in_text) fail_usage("tokens cannot be read in the middle of a text; call finish() first");
  return read_into(state_->memory.state(), state_->options, tokens);
}

}  // namespace ingrain
