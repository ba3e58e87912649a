#include "session/generate.h"

#include "api/parts.h"
#include "base/error.h"
#include "session/sampler.h"

namespace ingrain {

Generated generate(Memory& memory, const GenerateOptions& options, const std::function<void(std::string_view)>& on_text,
                   std::span<const int32_t> seen) {
  Memory::State& state = memory.state();
  session::validate(options.sampling);
  const int64_t vocabulary = state.network().config.vocab_size;
  for (const auto& [id, bias] : options.sampling.logit_bias)
    if (id < 0 || id >= vocabulary)
      fail_usage("logit bias: {} is no token; the model's ids are 0 to {}", id, vocabulary - 1);
  return session::generate(state.network().config, state.tokenizer(), state.session, seen, options, on_text);
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
