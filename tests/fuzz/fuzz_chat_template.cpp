// Templates from hostile hands: parse and render each over one conversation, with little work allowed.
#include "base/error.h"
#include "chat/chat_template.h"

namespace {

const nlohmann::ordered_json& messages() {
  static const auto out = nlohmann::ordered_json::parse(R"([
    {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße\n"},
    {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1.5, "y": null}}}]}])");
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ingrain::chat::ChatOptions options;
  options.work_limit = 1 << 20;
  options.add_generation_prompt = true;
  options.tools = messages();
  options.bos_token = "<s>";
  try {
    ingrain::chat::ChatTemplate({reinterpret_cast<const char*>(data), size}).render(messages(), options);
  } catch (const ingrain::Error&) {}
  return 0;
}
