#include "session/generate.h"

#include "api/parts.h"
#include "session/sampler.h"

#include <algorithm>

namespace ingrain {

void require_possible(const GenerateOptions& options, const Model& model) {
  session::validate(options.sampling, model.parts().network.config.vocab_size);
}

Generated generate(Memory& memory, const GenerateOptions& options, const std::function<void(std::string_view)>& on_text,
                   std::span<const int32_t> seen) {
  Memory::State& state = memory.state();
  require_possible(options, memory.model());
  // A stop that is a special token is that token: its text is never given out, so that it could not be found there.
  ModelConfig config = state.network().config;
  const auto own_ends = static_cast<std::ptrdiff_t>(config.eos_ids.size());
  for (const std::string& stop : options.stop)
    if (const auto id = state.tokenizer().token_to_id(stop); id && state.tokenizer().is_special(*id))
      config.eos_ids.push_back(*id);
  Generated out = session::generate(config, state.tokenizer(), state.session, seen, options, on_text);
  const auto ends = config.eos_ids.begin() + own_ends;
  if (out.reason == StopReason::end_of_text && std::find(config.eos_ids.begin(), ends, out.tokens.back()) == ends)
    out.reason = StopReason::stop_string;
  return out;
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
