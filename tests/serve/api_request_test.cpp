#include "serve/api/chat_request.h"
#include "serve/api/completion_request.h"
#include "serve/api/memories_api.h"
#include "serve/api/items.h"
#include "serve/api/messages_api.h"
#include "serve/api/responses_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ingrain::serve::api {
namespace {

using ::testing::HasSubstr;

const AskLimits kLimits;

Json with(const char* base, const char* more) {
  Json out = parse_body(base);
  out.update(parse_body(more));
  return out;
}

Json chat_with(const char* more) { return with(R"({"messages": [{"role": "user", "content": "Hi"}]})", more); }

/// What is refused, or an error of status 0 if nothing is.
template <class Read>
ApiError refusal(const Read& read) {
  try {
    read();
  } catch (const ApiError& e) {
    return e;
  }
  return {0, "", "", "", "nothing was refused"};
}

ApiError refused_chat(const char* more) {
  return refusal([&] { read_chat_request(chat_with(more), kLimits); });
}

TEST(ApiRequest, what_an_answers_form_is_for_is_known_and_every_field_of_it_has_its_type) {
  const auto form = [](const char* more) {
    Json format =
        parse_body(R"({"type": "json_schema", "json_schema": {"name": "person", "schema": {"type": "object"}}})");
    format["json_schema"].update(parse_body(more));
    return read_form(format, "response_format");
  };
  EXPECT_EQ(form(R"({"description": "Somebody of the book", "strict": false})").description, "Somebody of the book");
  EXPECT_EQ(form("{}").where, "response_format.json_schema.schema");
  for (const char* name : {"name", "description", "strict", "schema"})
    EXPECT_EQ(refusal([&] { form(Json{{name, 5}}.dump().c_str()); }).param,
              fmt::format("response_format.json_schema.{}", name));
  form(Json{{"name", "A-form_4" + std::string(56, 'x')}}.dump().c_str());
  for (const std::string& name : {std::string(), std::string("a b"), std::string("größe"), std::string(65, 'x')})
    EXPECT_EQ(refusal([&] { form(Json{{"name", name}}.dump().c_str()); }).param, "response_format.json_schema.name");
  EXPECT_EQ(refused_chat(R"({"response_format": {"type": "json_schema"}})").param, "response_format.json_schema");
  const Json flat = parse_body(R"({"type": "json_schema", "name": "x", "description": "What for", "schema": {}})");
  EXPECT_EQ(read_form(flat, "text.format").description, "What for");
  EXPECT_EQ(read_form(flat, "text.format").where, "text.format.schema");
  Json both = flat;
  both["json_schema"] = {{"schema", Json::object()}};
  EXPECT_EQ(refusal([&] { read_form(both, "response_format"); }).status, 400) << "nothing of it is passed over";
}

TEST(ApiBody, is_bounded_json_without_a_key_twice) {
  EXPECT_EQ(refusal([] { parse_body("[]"); }).status, 400);
  EXPECT_EQ(refusal([] { parse_body("{"); }).status, 400);
  EXPECT_EQ(refusal([] { parse_body("{\"a\": 1, \"a\": 2}"); }).status, 400);
  EXPECT_EQ(refusal([] { parse_body("{\"a\": \"\xff\"}"); }).status, 400);
  const std::string deep = "{\"a\":" + std::string(80, '[') + std::string(80, ']') + "}";
  EXPECT_THAT(refusal([&] { parse_body(deep); }).what(), HasSubstr("64 levels"));
  std::string wide = "{";
  for (int i = 0; i < 1100; ++i) wide += fmt::format("\"k{}\": 0,", i);
  wide.back() = '}';
  EXPECT_THAT(refusal([&] { parse_body(wide); }).what(), HasSubstr("1024"));
}

TEST(ApiBody, a_constant_beyond_64_bits_is_refused_where_it_would_become_another_number) {
  const auto schema = [](const std::string& of_n) {
    return R"({"response_format": {"json_schema": {"schema": {"properties": {"n": )" + of_n + "}}}}}";
  };
  for (const char* big : {R"({"const": 18446744073709551623})", R"({"enum": [1, -9223372036854775809]})",
                          R"({"const": {"deep": [18446744073709551616]}})"}) {
    const ApiError error = refusal([&] { parse_body(schema(big)); });
    EXPECT_EQ(error.status, 400);
    EXPECT_THAT(error.what(), HasSubstr("response_format.json_schema.schema.properties.n."));
    EXPECT_EQ(refusal([&] { parse_body(R"({"tools": [)" + std::string(big) + "]}"); }).status, 400);
    EXPECT_EQ(refusal([&] { parse_body(R"({"text": )" + std::string(big) + "}"); }).status, 400);
  }
  for (const char* near_enough : {R"({"const": 18446744073709551615})", R"({"maximum": 18446744073709551616})",
                                  R"({"const": "18446744073709551616"})", R"({"const": 1e300})",
                                  R"({"properties": {"const": {"maximum": 18446744073709551616}}})"})
    EXPECT_NO_THROW(parse_body(schema(near_enough)));
}

TEST(ApiChat, a_field_that_is_not_known_is_refused_by_name) {
  const ApiError error = refused_chat(R"({"frobnicate": 1})");
  EXPECT_EQ(error.status, 400);
  EXPECT_EQ(error.param, "frobnicate");
  EXPECT_EQ(error.code, "unsupported_parameter");
  EXPECT_THAT(error.what(), HasSubstr("not supported"));
}

TEST(ApiChat, errors_name_the_field_by_its_path) {
  EXPECT_EQ(refused_chat(R"({"temperature": "hot"})").param, "temperature");
  EXPECT_EQ(refused_chat(R"({"temperature": 2.5})").param, "temperature");
  EXPECT_EQ(refused_chat(R"({"n": 0})").param, "n");
  EXPECT_EQ(refused_chat(R"({"top_logprobs": 2})").param, "top_logprobs");
  EXPECT_EQ(refused_chat(R"({"max_tokens": 1, "max_completion_tokens": 2})").param, "max_tokens");
  EXPECT_EQ(refused_chat(R"({"stream_options": {}})").param, "stream_options");
  EXPECT_EQ(refused_chat(R"({"logit_bias": {"a": 1}})").param, "logit_bias");
  EXPECT_EQ(refused_chat(R"({"messages": []})").param, "messages");
  EXPECT_EQ(refused_chat(R"({"messages": [{"content": "x"}]})").param, "messages[0].role");
  EXPECT_EQ(refused_chat(R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})").param,
            "messages[0].content[0].type");
  EXPECT_EQ(refused_chat(R"({"tool_choice": {"type": "function", "function": {"name": "f"}}})").param, "tool_choice");
}

TEST(ApiChat, what_changes_nothing_is_taken) {
  const Ask ask = read_chat_request(
      chat_with(R"({"user": "u", "metadata": {"a": "b"}, "store": false, "service_tier": "auto", "unknown": null,
                    "parallel_tool_calls": true, "modalities": ["text"]})"),
      kLimits);
  EXPECT_EQ(ask.writing.max_tokens, kLimits.max_tokens);
  EXPECT_EQ(refused_chat(R"({"store": true})").param, "store");
}

TEST(ApiChat, options_are_the_writers) {
  const Ask ask = read_chat_request(
      chat_with(R"({"max_completion_tokens": 0, "temperature": 0, "top_p": 0.5, "seed": -1, "n": 2, "logprobs": true,
                    "top_logprobs": 3, "stop": ["a", "b"], "logit_bias": {"5": -100}, "memory": "book",
                    "presence_penalty": 1, "frequency_penalty": -1, "learn": "input", "stream": true,
                    "stream_options": {"include_usage": true}, "notepad": {"enabled": true, "passages": 2}})"),
      kLimits);
  EXPECT_EQ(ask.writing.max_tokens, 0);
  EXPECT_EQ(ask.writing.choices, 2);
  EXPECT_EQ(ask.writing.top_logprobs, 3);
  EXPECT_EQ(ask.writing.sampling.seed, UINT64_MAX);
  EXPECT_EQ(ask.writing.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ask.writing.sampling.logit_bias.at(5), -100);
  EXPECT_EQ(ask.writing.learn, Learn::input);
  EXPECT_TRUE(ask.stream && ask.usage_in_stream && ask.notepad.enabled);
  EXPECT_EQ(ask.notepad.passages, 2);
  EXPECT_EQ(ask.memory, "book");
}

TEST(ApiChat, thoughts_have_the_names_that_templates_read_whatever_theirs_was) {
  for (const std::string name : {"reasoning_content", "thinking", "reasoning"}) {
    const Json messages =
        read_chat_messages(Json::parse(R"([{"role": "assistant", "content": "a", ")" + name + R"(": "hm"}])"));
    EXPECT_EQ(messages[0],
              Json({{"role", "assistant"}, {"content", "a"}, {"reasoning_content", "hm"}, {"thinking", "hm"}}));
  }
  EXPECT_EQ(refused_chat(R"({"messages": [{"role": "user", "content": "a", "thinking": "hm"}]})").param,
            "messages[0].thinking");
}

TEST(ApiChat, nothing_that_a_message_says_is_passed_over) {
  const Json messages = read_chat_messages(Json::parse(R"([
    {"role": "user", "name": "anna", "content": "a"}, {"role": "user", "name": "", "content": "a"},
    {"role": "assistant", "content": null, "refusal": "I will not."},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}])"));
  EXPECT_EQ(messages[0]["name"], "anna");
  EXPECT_FALSE(messages[1].contains("name"));
  EXPECT_EQ(messages[2]["content"], "I will not.");
  EXPECT_EQ(messages[3]["content"], "No.");
  const auto param = [](const char* message) {
    return refusal([&] { read_chat_messages(Json::array({Json::parse(message)})); }).param;
  };
  EXPECT_EQ(param(R"({"role": "user", "content": [{"type": "text", "text": "a", "annotations": []}]})"),
            "messages[0].content[0].annotations");
  EXPECT_EQ(param(R"({"role": "assistant", "content": "a", "audio": {"id": "x"}})"), "messages[0].audio");
  EXPECT_EQ(param(R"({"role": "assistant", "content": "a", "function_call": {"name": "f"}})"),
            "messages[0].function_call");
  for (const char* field : {"audio", "functions", "function_call", "prediction", "web_search_options", "verbosity"})
    EXPECT_EQ(refused_chat((std::string("{\"") + field + "\": {\"a\": 1}}").c_str()).param, field);
  EXPECT_EQ(refused_chat(R"({"tools": [{"type": "function", "function": {"name": "f", "type": "x"}}]})").param,
            "tools[0].function.type");
}

TEST(ApiResponses, nothing_that_an_item_says_is_passed_over) {
  const auto param = [](const char* item) {
    return refusal([&] { read_input(Json::array({Json::parse(item)}), "input", 9); }).param;
  };
  EXPECT_EQ(param(R"({"role": "assistant", "content": "a", "phase": "commentary"})"), "input[0].phase");
  EXPECT_EQ(param(R"({"type": "reasoning", "summary": [], "encrypted_content": "x"})"), "input[0].encrypted_content");
  EXPECT_EQ(param(R"({"role": "user", "content": [{"type": "input_text", "text": "a", "logprobs": []}]})"),
            "input[0].content[0].logprobs");
  EXPECT_EQ(param(R"({"role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": [],
                      "logprobs": []}], "id": "msg_1", "status": "completed", "phase": null})"),
            "");
  const Json thought = read_input(
      Json::array({Json::parse(R"({"type": "reasoning", "summary": [{"type": "summary_text", "text": "In short"}]})")}),
      "input", 9);
  EXPECT_EQ(thought[0]["content"][0]["text"], "In short");
}

TEST(ApiChat, without_a_seed_texts_differ) {
  EXPECT_NE(read_chat_request(chat_with("{}"), kLimits).writing.sampling.seed,
            read_chat_request(chat_with("{}"), kLimits).writing.sampling.seed);
}

TEST(ApiChat, messages_are_as_templates_take_them) {
  const Json messages = read_chat_messages(Json::parse(R"([
    {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": null, "tool_calls": [
      {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "3"}])"));
  EXPECT_EQ(messages[0], Json({{"role", "system"}, {"content", "Be brief."}}));
  EXPECT_EQ(messages[2]["tool_calls"][0]["function"]["name"], "f");
  EXPECT_EQ(messages[3], Json({{"role", "tool"}, {"content", "3"}, {"tool_call_id", "c1"}}));
}

TEST(ApiCompletions, a_prompt_is_a_text_tokens_or_several_of_them) {
  const auto read = [](const char* body) { return read_completion_request(parse_body(body), kLimits); };
  EXPECT_EQ(read(R"({"prompt": "a"})").at(0).prompt.text, "a");
  EXPECT_EQ(read(R"({"prompt": [1, 2]})").at(0).prompt.tokens, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(read(R"({"prompt": ["a", "b"]})").size(), 2u);
  EXPECT_EQ(read(R"({"prompt": [[1], [2, 3]]})").at(1).prompt.tokens, (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(read(R"({"prompt": "a"})").at(0).writing.max_tokens, 16);
  EXPECT_EQ(refusal([&] { read(R"({"prompt": "a", "echo": true})"); }).param, "echo");
  EXPECT_EQ(refusal([&] { read(R"({"prompt": "a", "suffix": "b"})"); }).param, "suffix");
  EXPECT_EQ(refusal([&] { read(R"({"prompt": [1.5]})"); }).status, 400);
  EXPECT_EQ(refusal([&] { read(R"({"prompt": [-1]})"); }).status, 400);
}

TEST(ApiResponses, what_is_not_served_is_refused_by_name) {
  const auto refused = [](const char* more) {
    return refusal([&] { read_responses_request(with(R"({"input": "Hi"})", more), kLimits); }).param;
  };
  EXPECT_EQ(refused(R"({"background": true})"), "background");
  EXPECT_EQ(refused(R"({"reasoning": {"effort": "huge"}})"), "reasoning.effort");
  EXPECT_EQ(refused(R"({"reasoning": {"summary": "detailed"}})"), "reasoning.summary");
  EXPECT_EQ(refused(R"({"tools": [{"type": "web_search"}]})"), "tools[0].type");
  EXPECT_EQ(refused(R"({"prompt": {"id": "p"}})"), "prompt");
  EXPECT_EQ(refused(R"({"include": ["file_search_call.results"]})"), "include");
  EXPECT_EQ(refused(R"({"previous_response_id": "a", "conversation": "b"})"), "previous_response_id");
  EXPECT_EQ(refused(R"({"input": [{"type": "image_generation_call"}]})"), "input[0].type");
  EXPECT_EQ(refused(R"({"input": []})"), "input");
}

TEST(ApiResponses, items_are_messages_in_chats_shape) {
  const ResponsesAsk ask = read_responses_request(parse_body(R"({"input": [
    {"role": "user", "content": [{"type": "input_text", "text": "Add."}]},
    {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{\"a\": 1}"},
    {"type": "function_call", "call_id": "c2", "name": "add", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "3"}], "conversation": {"id": "conv_x"}})"),
                                                  kLimits);
  EXPECT_EQ(ask.conversation, "conv_x");
  const Json messages = messages_of(ask.input);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0], Json({{"role", "user"}, {"content", "Add."}}));
  EXPECT_EQ(messages[1]["tool_calls"].size(), 2u);
  EXPECT_EQ(messages[2]["tool_call_id"], "c1");
}

TEST(ApiResponses, an_answer_that_was_kept_is_handed_on_as_it_was_written_and_not_shown) {
  std::vector<std::string> ids;
  Json items = output_items({"Hello", Json::array()}, nullptr, true, ids);
  items[0]["ingrain_answer"] = Json::array({{{"text", "Hello"}, {"literal", true}}});
  const Json messages = messages_of(items);
  EXPECT_EQ(messages[0]["content"], "Hello");
  EXPECT_EQ(messages[0]["ingrain_answer"], items[0]["ingrain_answer"]);
  EXPECT_FALSE(shown(items[0]).contains("ingrain_answer"));
  EXPECT_EQ(shown(items[0])["id"], ids.at(0));
}

TEST(ApiMessages, blocks_become_messages) {
  const Ask ask =
      read_messages_request(parse_body(R"({"max_tokens": 5, "system": [{"type": "text", "text": "Be kind."}],
    "messages": [{"role": "user", "content": "Add."},
      {"role": "assistant", "content": [{"type": "text", "text": "So."},
        {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}]},
      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "3"},
        {"type": "text", "text": "And?"}]}],
    "tools": [{"name": "add", "input_schema": {"type": "object"}}], "stop_sequences": ["x"]})"),
                            kLimits, false);
  ASSERT_EQ(ask.prompt.messages.size(), 5u);
  EXPECT_EQ(ask.prompt.messages[0]["role"], "system");
  EXPECT_EQ(ask.prompt.messages[2]["tool_calls"][0]["function"]["arguments"], "{\"a\":1}");
  EXPECT_EQ(ask.prompt.messages[3], Json({{"role", "tool"}, {"content", "3"}, {"tool_call_id", "t1"}}));
  EXPECT_EQ(ask.prompt.messages[4]["content"], "And?");
  EXPECT_EQ(ask.tools.tools[0]["function"]["name"], "add");
  const auto refused = [](const char* body) {
    return refusal([&] { read_messages_request(parse_body(body), kLimits, false); }).param;
  };
  EXPECT_EQ(refused(R"({"messages": [{"role": "user", "content": "a"}]})"), "max_tokens");
  EXPECT_EQ(refused(R"({"max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "image"}]}]})"),
            "messages[0].content[0].type");
  EXPECT_EQ(refused(R"({"max_tokens": 1, "thinking": {"type": "enabled", "budget_tokens": 9},
                        "messages": [{"role": "user", "content": "a"}]})"),
            "thinking.budget_tokens");
}

TEST(ApiThinking, is_the_templates_variables_and_where_it_was_said) {
  const Ask chat = read_chat_request(
      parse_body(R"({"messages": [{"role": "user", "content": "a"}], "reasoning_effort": "low"})"), kLimits);
  EXPECT_EQ(chat.prompt.extra, Json({{"enable_thinking", true}, {"reasoning_effort", "low"}}));
  EXPECT_EQ(chat.thinking.where, "reasoning_effort");
  const ResponsesAsk none =
      read_responses_request(parse_body(R"({"input": "a", "reasoning": {"effort": "none"}})"), kLimits);
  EXPECT_EQ(none.ask.prompt.extra, Json({{"enable_thinking", false}}));
  EXPECT_EQ(none.echo["reasoning"]["effort"], "none");
  EXPECT_TRUE(read_responses_request(parse_body(R"({"input": "a"})"), kLimits).ask.prompt.extra.is_null());
  const auto message = [](const char* thinking) {
    return read_messages_request(with(R"({"max_tokens": 9, "messages": [{"role": "user", "content": "a"}]})", thinking),
                                 kLimits, false);
  };
  EXPECT_EQ(message("{}").prompt.extra["enable_thinking"], false) << "Anthropic's models think where they are told to";
  EXPECT_EQ(message(R"({"thinking": {"type": "adaptive"}})").prompt.extra["enable_thinking"], true);
  EXPECT_EQ(message(R"({"thinking": {"type": "enabled", "budget_tokens": 8}})").thinking.budget, 8);
}

TEST(ApiThinking, thoughts_come_back_in_all_shapes) {
  const Ask message = read_messages_request(parse_body(R"({"max_tokens": 5, "messages": [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "b"}]},
    {"role": "user", "content": "c"}]})"),
                                            kLimits, false);
  const Json expected = {{"role", "assistant"}, {"content", "b"}, {"reasoning_content", "Hm."}};
  EXPECT_EQ(message.prompt.messages[1], expected);
  const ResponsesAsk response = read_responses_request(parse_body(R"({"input": [{"role": "user", "content": "a"},
    {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
    {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]})"),
                                                       kLimits);
  EXPECT_EQ(messages_of(response.input)[1], expected);
  EXPECT_EQ(messages_of(response.input).size(), 3u);
}

TEST(ApiTools, strict_ones_are_named) {
  const Ask ask = read_chat_request(parse_body(R"({"messages": [{"role": "user", "content": "a"}], "tools": [
    {"type": "function", "function": {"name": "f", "strict": true, "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}}]})"),
                                    kLimits);
  EXPECT_EQ(ask.tools.strict, std::vector<std::string>{"f"});
  EXPECT_FALSE(ask.tools.tools[0]["function"].contains("strict")) << "templates show tools as they are";
}

Request form(const std::string& body) {
  Request out;
  out.headers["Content-Type"] = "multipart/form-data; boundary=\"B\"";
  out.body = body;
  return out;
}

TEST(ApiMemories, files_come_as_form_data) {
  const MemoryAsk ask = read_memory_request(
      form("--B\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nbook\r\n"
           "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../../etc/a;b.txt\"\r\n\r\n"
           "Once\r\n--upon\r\n\r\n--B--\r\n"));
  EXPECT_EQ(ask.name, "book");
  ASSERT_EQ(ask.texts.size(), 1u);
  EXPECT_EQ(ask.texts[0], "Once\r\n--upon\r\n");
  EXPECT_EQ(ask.sources[0], "../../etc/a;b.txt") << "a name for people, never a path";
}

TEST(ApiMemories, damaged_forms_and_bad_names_are_refused) {
  const std::string head = "--B\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n";
  for (const std::string& body : {std::string("x"), std::string("--B"), head, head + "a", head + "a\r\n--C--",
                                  std::string("--B\r\nno colon\r\n\r\na\r\n--B--"), std::string("--B--")})
    EXPECT_EQ(refusal([&] { read_memory_request(form(body)); }).status, 400) << body;
  for (const char* name : {"", "a/b", "mem_x", "a\nb", "\xff"})
    EXPECT_EQ(refusal([&] { check_memory_name(name, "name"); }).status, 400) << name;
  EXPECT_EQ(refusal([] { check_memory_name("Emma, first half", "name"); }).status, 0);
}

}  // namespace
}  // namespace ingrain::serve::api
