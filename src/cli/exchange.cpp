#include "cli/exchange.h"

#include "api/parts.h"
#include "chat/chat_template_file.h"

#include <algorithm>
#include <chrono>

namespace ingrain::cli {

chat::Form conversation_form(const std::filesystem::path& folder, const Model& model) {
  const tokenizer::Tokenizer& tokenizer = model.parts().tokenizer;
  const auto text_of = [&](const std::optional<int32_t>& id) {
    return id ? std::optional<std::string>(tokenizer.id_to_bytes(*id)) : std::nullopt;
  };
  return {chat::find_chat_template(folder), text_of(tokenizer.bos()), text_of(tokenizer.eos())};
}

Answer exchange(Memory& memory, chat::Conversation& conversation, std::string_view question,
                const GenerateOptions& options, const std::function<void(const InnerStep&)>& on_step,
                const std::function<void(std::string_view)>& on_text) {
  const auto start = std::chrono::steady_clock::now();
  ReaderOptions reading;
  reading.learn = options.learn != Learn::off;
  reading.measure_steps = static_cast<bool>(on_step);
  reading.on_step = on_step;
  reading.parse_special = conversation.has_template();  // what the template writes, and for now what is said
  reading.begin_text = !conversation.has_template();    // a template writes its own beginning
  const std::string turn = conversation.ask(question);
  Answer out;
  out.tokens_read = Reader(memory, reading).read(std::string_view(turn)).tokens;
  GenerateOptions writing = options;
  for (const std::string& stop : conversation.stops()) writing.stop.push_back(stop);
  bool begun = false;  // blanks before the answer are read, but not shown
  const auto show = [&](std::string_view text) {
    if (!begun) text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
    begun = begun || !text.empty();
    if (!text.empty()) on_text(text);
  };
  const Generated generated = generate(memory, writing, show, memory.model().encode(turn, reading.parse_special));
  const bool ended = generated.reason == StopReason::end_of_text;
  conversation.answered(generated.text, ended ? memory.model().parts().tokenizer.id_to_bytes(generated.tokens.back())
                                              : std::string_view());
  out.text = generated.text;
  out.reason = generated.reason;
  out.tokens_written = static_cast<int64_t>(generated.tokens.size());
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace ingrain::cli
