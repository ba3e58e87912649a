#include "session/generate.h"

#include "api/parts.h"
#include "ingrain/writing.h"
#include "session/sampler.h"

#include <algorithm>

namespace ingrain {

void require_possible(const GenerateOptions& options, const Model& model) {
  session::validate(options.sampling, model.parts().network.config.vocab_size);
}

namespace {

/// A stop that is a special token is that token: its text is never given out, so that it could not be found there.
ModelConfig ends_of(const Memory::State& state, const GenerateOptions& options) {
  ModelConfig out = state.network().config;
  for (const std::string& stop : options.stop)
    if (const auto id = state.tokenizer().token_to_id(stop); id && state.tokenizer().is_special(*id))
      out.eos_ids.push_back(*id);
  return out;
}

}  // namespace

struct Writing::State {
  const GenerateOptions options;
  const Memory::State& memory;
  const ModelConfig config;
  session::Pieces pieces;

  State(Memory::State& of, GenerateOptions how, std::span<const int32_t> seen)
      : options(std::move(how)),
        memory(of),
        config(ends_of(of, options)),
        pieces(config, of.tokenizer(), of.session, seen, options) {}
};

Writing::Writing(Memory& memory, GenerateOptions options, std::span<const int32_t> seen) {
  require_possible(options, memory.model());
  state_ = std::make_unique<State>(memory.state(), std::move(options), seen);
}
Writing::Writing(Writing&&) noexcept = default;
Writing::~Writing() = default;

std::optional<std::string> Writing::next() { return state_->pieces.next(); }

Generated Writing::written() const {
  Generated out = state_->pieces.written();
  const std::vector<int64_t>& own = state_->memory.network().config.eos_ids;
  if (out.reason == StopReason::end_of_text && std::find(own.begin(), own.end(), out.tokens.back()) == own.end())
    out.reason = StopReason::stop_string;
  return out;
}

Generated generate(Memory& memory, const GenerateOptions& options, const std::function<void(std::string_view)>& on_text,
                   std::span<const int32_t> seen) {
  Writing writing(memory, options, seen);
  while (const auto piece = writing.next())
    if (on_text) on_text(*piece);
  return writing.written();
}

const char* describe(StopReason reason) {
  switch (reason) {
    case StopReason::end_of_text: return "end of text";
    case StopReason::stop_string: return "stop string";
    case StopReason::max_tokens: return "maximum of tokens";
    case StopReason::interrupted: break;
  }
  return "interrupted";
}

}  // namespace ingrain
