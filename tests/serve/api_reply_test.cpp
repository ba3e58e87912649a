#include "serve/api/chat_reply.h"
#include "serve/api/keys.h"
#include "serve/api/messages_api.h"
#include "serve/api/metrics.h"
#include "serve/api/request_log.h"
#include "serve/api/responses_reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ingrain::serve::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const ReplyHead kHead{"id_1", "reader", "abcd", 1000};

/// Names and data of server-sent events.
std::vector<std::pair<std::string, Json>> events_of(const std::string& bytes) {
  std::vector<std::pair<std::string, Json>> out;
  std::string name;
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = bytes.find('\n', at);
    const std::string line = bytes.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("event: ")) name = line.substr(7);
    if (line.starts_with("data: ")) out.emplace_back(name, Json::parse(line.substr(6)));
  }
  return out;
}

using Kind = AnswerPart::Kind;

SaidPiece said(std::string text, Kind kind = Kind::text) { return {.kind = kind, .text = std::move(text)}; }

/// A whole call of f, as it comes.
std::vector<SaidPiece> call_pieces(size_t call, const std::string& arguments) {
  return {{.kind = Kind::call, .text = "f", .call = call, .id = "c"},
          {.kind = Kind::arguments, .text = arguments.substr(0, 1), .call = call},
          {.kind = Kind::arguments, .text = arguments.substr(1), .call = call},
          {.kind = Kind::call_end, .call = call}};
}

std::vector<std::string> names_of(const std::vector<std::pair<std::string, Json>>& events) {
  std::vector<std::string> out;
  for (const auto& [name, data] : events) {
    EXPECT_EQ(data["type"], name);
    out.push_back(name);
  }
  return out;
}

TEST(ApiReply, half_characters_have_their_bytes_and_one_entry_a_token) {
  const std::vector<WrittenToken> tokens = {{{1, "\xf0\x9f", -0.5}, {{1, "\xf0\x9f", -0.5}, {2, "a", -1}}},
                                            {{3, "\x98\x80", -std::numeric_limits<double>::infinity()}, {}}};
  const Json logprobs = chat_logprobs(tokens);
  ASSERT_EQ(logprobs.size(), 2u);
  EXPECT_EQ(logprobs[0]["bytes"], Json::parse("[240, 159]"));
  EXPECT_EQ(logprobs[0]["token"], "\\xf0\\x9f");
  EXPECT_EQ(logprobs[0]["top_logprobs"].size(), 2u);
  EXPECT_EQ(logprobs[1]["logprob"], -9999.0);
  int64_t offset = 0;
  const Json legacy = legacy_logprobs(tokens, offset);
  EXPECT_EQ(legacy["tokens"][0], "bytes:\\xf0\\x9f");
  EXPECT_EQ(legacy["text_offset"], Json::parse("[0, 1]"));
}

TEST(ApiReply, the_token_that_was_drawn_is_among_the_legacy_top_whatever_its_rank) {
  int64_t offset = 0;
  const Json legacy =
      legacy_logprobs({{{7, "rare", -9}, {{1, "a", -0.5}, {2, "b", -1}}}, {{1, "a", -0.5}, {{1, "a", -0.5}}}}, offset);
  EXPECT_EQ(legacy["top_logprobs"][0], Json({{"a", -0.5}, {"b", -1.0}, {"rare", -9.0}}));
  EXPECT_EQ(legacy["top_logprobs"][1], Json({{"a", -0.5}}));
}

TEST(ApiReply, usage_counts_every_choice) {
  Outcome outcome;
  outcome.prompt_tokens = 10;
  outcome.cached_tokens = 7;
  outcome.choices.resize(2);
  outcome.choices[0].tokens = 3;
  outcome.choices[1].tokens = 4;
  const Json usage = chat_usage(usage_of(outcome));
  EXPECT_EQ(usage["completion_tokens"], 7);
  EXPECT_EQ(usage["total_tokens"], 17);
  EXPECT_EQ(usage["prompt_tokens_details"]["cached_tokens"], 7);
  const Json anthropic = anthropic_usage(usage_of(outcome));
  EXPECT_EQ(anthropic["input_tokens"], 3);
  EXPECT_EQ(anthropic["cache_read_input_tokens"], 7);
}

TEST(ApiReply, a_chat_answer_has_its_reason) {
  const Json call = {{"id", "c"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", "{}"}}}};
  const Json reply = chat_reply(
      kHead, {{{"Hi"}, StopReason::end_of_text}, {{"Hi"}, StopReason::max_tokens}, {{"", Json::array({call})}}}, {},
      {});
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(reply["choices"][1]["finish_reason"], "length");
  EXPECT_EQ(reply["choices"][2]["finish_reason"], "tool_calls");
  EXPECT_TRUE(reply["choices"][2]["message"]["content"].is_null());
  EXPECT_EQ(reply["choices"][2]["message"]["tool_calls"][0]["function"]["name"], "f");
}

TEST(ApiReply, chunks_have_null_usage_but_the_last) {
  const ChatChunks chunks(kHead, true);
  EXPECT_EQ(chunks.begin(0)["choices"][0]["delta"]["role"], "assistant");
  EXPECT_TRUE(chunks.piece(0, said("a"), nullptr)["usage"].is_null());
  EXPECT_EQ(chunks.piece(0, said("a"), nullptr)["choices"][0]["delta"], Json({{"content", "a"}}));
  EXPECT_EQ(chunks.usage({3, 1, 2}, {})["usage"]["prompt_tokens"], 3);
  EXPECT_TRUE(chunks.usage({}, {})["choices"].empty());
}

TEST(ApiReply, events_of_a_response_come_in_the_apis_order_with_rising_numbers) {
  const Json begun = response_begun(kHead, {{"store", true}});
  ResponseEvents events(begun);
  std::string bytes = events.begin();
  bytes += events.piece(said("Hel"), nullptr);
  bytes += events.piece(said("lo"), nullptr);
  for (const SaidPiece& piece : call_pieces(0, "{}")) bytes += events.piece(piece, nullptr);
  std::vector<std::string> ids = events.ids();
  const Json call = {{"id", "c"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", "{}"}}}};
  const Json output = output_items({"Hello", Json::array({call})}, nullptr, true, ids);
  bytes += events.end(response_done(begun, response_end(StopReason::end_of_text), output, {}, {}));
  const auto told = events_of(bytes);
  EXPECT_THAT(names_of(told),
              ElementsAre("response.created", "response.in_progress", "response.output_item.added",
                          "response.content_part.added", "response.output_text.delta", "response.output_text.delta",
                          "response.output_item.added", "response.function_call_arguments.delta",
                          "response.function_call_arguments.delta", "response.function_call_arguments.done",
                          "response.output_item.done", "response.output_text.done", "response.content_part.done",
                          "response.output_item.done", "response.completed"));
  for (size_t i = 0; i < told.size(); ++i) EXPECT_EQ(told[i].second["sequence_number"], i);
  EXPECT_EQ(told[4].second["item_id"], told[13].second["item"]["id"]) << "one item, one id";
  EXPECT_EQ(told[11].second["text"], "Hello");
  EXPECT_EQ(told[6].second["output_index"], 1);
  EXPECT_EQ(told[9].second["arguments"], "{}");
  EXPECT_EQ(told[10].second["item"], told[14].second["response"]["output"][1]);
}

TEST(ApiReply, thoughts_are_an_item_before_the_answer) {
  const Json begun = response_begun(kHead, Json::object());
  ResponseEvents events(begun);
  std::string bytes = events.begin();
  for (const char* text : {"Hm", "."}) bytes += events.piece(said(text, Kind::thought), nullptr);
  bytes += events.piece(said("Yes."), nullptr);
  std::vector<std::string> ids = events.ids();
  const Said all{.text = "Yes.", .thought = "Hm.", .thought_tokens = 4};
  const Json output = output_items(all, nullptr, true, ids);
  bytes +=
      events.end(response_done(begun, response_end(StopReason::end_of_text), output, {.written = 9, .thought = 4}, {}));
  const auto told = events_of(bytes);
  EXPECT_THAT(names_of(told),
              ElementsAre("response.created", "response.in_progress", "response.output_item.added",
                          "response.content_part.added", "response.reasoning_text.delta",
                          "response.reasoning_text.delta", "response.reasoning_text.done", "response.content_part.done",
                          "response.output_item.done", "response.output_item.added", "response.content_part.added",
                          "response.output_text.delta", "response.output_text.done", "response.content_part.done",
                          "response.output_item.done", "response.completed"));
  for (size_t i = 0; i < told.size(); ++i) EXPECT_EQ(told[i].second["sequence_number"], i);
  const Json& response = told.back().second["response"];
  EXPECT_EQ(told[8].second["item"], response["output"][0]);
  EXPECT_EQ(told[14].second["item"], response["output"][1]);
  EXPECT_EQ(response["output"][0]["content"], Json::parse(R"([{"type": "reasoning_text", "text": "Hm."}])"));
  EXPECT_EQ(response["usage"]["output_tokens_details"]["reasoning_tokens"], 4);
}

TEST(ApiReply, thoughts_that_a_limit_cut_are_all_there_is) {
  std::vector<std::string> ids;
  const Json cut = output_items({.thought = "Hm"}, nullptr, false, ids);
  ASSERT_EQ(cut.size(), 1u);
  EXPECT_EQ(cut[0]["status"], "incomplete");
  const Json whole = output_items({.thought = "Hm"}, nullptr, true, ids);
  ASSERT_EQ(whole.size(), 2u);
  EXPECT_EQ(whole[1]["content"][0]["text"], "");
  ResponseEvents events(response_begun(kHead, Json::object()));
  std::string bytes = events.piece(said("Hm", Kind::thought), nullptr);
  const Json response =
      response_done(response_begun(kHead, Json::object()), response_end(StopReason::end_of_text), whole, {}, {});
  bytes += events.end(response);
  EXPECT_EQ(names_of(events_of(bytes)).back(), "response.completed");
}

TEST(ApiReply, a_call_that_a_limit_cut_is_incomplete) {
  const Json call = {{"id", "c"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", "{\"x"}}}};
  const Said cut{.calls = Json::array({call}), .cut_call = true};
  EXPECT_EQ(finish_reason(StopReason::max_tokens, cut), "length");
  EXPECT_EQ(anthropic_end(StopReason::max_tokens, cut, {}).reason, "max_tokens");
  std::vector<std::string> ids;
  const Json output = output_items(cut, nullptr, false, ids);
  ASSERT_EQ(output.size(), 1u);
  EXPECT_EQ(output[0]["status"], "incomplete");
  EXPECT_EQ(output[0]["arguments"], "{\"x");
}

TEST(ApiReply, chat_tells_thoughts_and_calls_apart) {
  const ChatChunks chunks(kHead, false);
  const auto delta = [&](const SaidPiece& piece) { return chunks.piece(0, piece, nullptr)["choices"][0]["delta"]; };
  EXPECT_EQ(delta(said("Hm", Kind::thought)), Json({{"reasoning_content", "Hm"}}));
  const auto pieces = call_pieces(1, "{}");
  EXPECT_EQ(delta(pieces[0]), Json::parse(R"({"tool_calls": [{"index": 1, "id": "c", "type": "function",
    "function": {"name": "f", "arguments": ""}}]})"));
  EXPECT_EQ(delta(pieces[1]), Json::parse(R"({"tool_calls": [{"index": 1, "function": {"arguments": "{"}}]})"));
  EXPECT_TRUE(chunks.piece(0, pieces[3], nullptr).is_null());
  const Json reply =
      chat_reply(kHead, {{.said = {.text = "Yes.", .thought = "Hm."}}}, {.written = 7, .thought = 3}, {});
  EXPECT_EQ(reply["choices"][0]["message"]["reasoning_content"], "Hm.");
  EXPECT_EQ(reply["choices"][0]["message"]["content"], "Yes.");
  EXPECT_EQ(reply["usage"]["completion_tokens_details"]["reasoning_tokens"], 3);
}

TEST(ApiReply, anthropics_blocks_come_one_after_another) {
  AnthropicEvents events(kHead);
  std::string bytes = events.begin();
  bytes += events.piece(said("Hm", Kind::thought));
  bytes += events.piece(said("Yes."));
  for (const size_t call : {0, 1})
    for (const SaidPiece& piece : call_pieces(call, "{\"x\": 1}")) bytes += events.piece(piece);
  bytes += events.end({"tool_use", nullptr}, {}, {});
  std::vector<std::string> blocks;
  std::map<int64_t, std::string> text;
  int64_t open = -1;
  for (const auto& [name, data] : events_of(bytes)) {
    if (name == "content_block_start") {
      EXPECT_EQ(open, -1);
      open = data["index"];
      EXPECT_EQ(open, blocks.size());
      blocks.push_back(data["content_block"]["type"]);
    }
    if (name == "content_block_stop") {
      EXPECT_EQ(std::exchange(open, -1), data["index"]);
    }
    if (name == "content_block_delta")
      for (const char* member : {"text", "thinking", "partial_json", "signature"})
        text[data["index"]] += data["delta"].value(member, "");
  }
  EXPECT_THAT(blocks, ElementsAre("thinking", "text", "tool_use", "tool_use"));
  EXPECT_EQ(text[0], "Hmid_1");
  EXPECT_EQ(text[3], "{\"x\": 1}");
  const Said all{.text = "Yes.", .thought = "Hm"};
  const Json reply = anthropic_reply(kHead, all, {"end_turn", nullptr}, {}, {});
  EXPECT_EQ(reply["content"][0], Json::parse(R"({"type": "thinking", "thinking": "Hm", "signature": "id_1"})"));
}

TEST(ApiReply, an_empty_answer_is_told_at_the_end) {
  const Json begun = response_begun(kHead, Json::object());
  ResponseEvents events(begun);
  std::vector<std::string> ids;
  const Json output = output_items({"", Json::array()}, nullptr, true, ids);
  const auto told = events_of(events.end(response_done(begun, response_end(StopReason::stop_string), output, {}, {})));
  EXPECT_EQ(told.size(), 6u);
  EXPECT_EQ(told[0].second["item"]["id"], ids.at(0));
}

TEST(ApiReply, what_a_limit_ends_is_incomplete_and_says_why) {
  const Json begun = response_begun(kHead, Json::object());
  const Json cut = response_done(begun, response_end(StopReason::max_tokens), Json::array(), {}, {});
  EXPECT_EQ(cut["status"], "incomplete");
  EXPECT_EQ(cut["incomplete_details"]["reason"], "max_output_tokens");
  const Json stopped = response_done(begun, response_end(StopReason::interrupted), Json::array(), {}, {});
  EXPECT_EQ(stopped["status"], "failed");
  EXPECT_EQ(stopped["error"]["code"], "server_error");
}

TEST(ApiReply, events_of_a_message_come_in_anthropics_order) {
  AnthropicEvents events(kHead);
  const Said answer{"Hi"};
  std::string bytes = events.begin();
  bytes += events.piece(said("Hi"));
  bytes += events.end(anthropic_end(StopReason::stop_string, answer, {"x"}), {}, {});
  const auto told = events_of(bytes);
  EXPECT_THAT(names_of(told), ElementsAre("message_start", "ping", "content_block_start", "content_block_delta",
                                          "content_block_stop", "message_delta", "message_stop"));
  EXPECT_EQ(told[5].second["delta"]["stop_reason"], "stop_sequence");
  EXPECT_EQ(told[5].second["delta"]["stop_sequence"], "x");
  EXPECT_EQ(anthropic_end(StopReason::stop_string, answer, {}).reason, "end_turn") << "by a text of the model's own";
}

TEST(ApiReply, bytes_that_are_no_text_do_not_break_json) { EXPECT_NO_THROW(Json::parse(dump({{"a", "\xff\xfe"}}))); }

TEST(ApiPages, go_on_after_an_item) {
  Json items = Json::array();
  for (int i = 0; i < 5; ++i) items.push_back({{"id", std::to_string(i)}});
  const Json first = page_of(items, read_page({{"limit", "2"}}));
  EXPECT_EQ(first["first_id"], "4");
  EXPECT_EQ(first["last_id"], "3");
  EXPECT_EQ(first["has_more"], true);
  const Json rest = page_of(items, read_page({{"after", "3"}, {"order", "desc"}}));
  EXPECT_EQ(rest["data"].size(), 3u);
  EXPECT_EQ(rest["has_more"], false);
  EXPECT_THROW(read_page({{"limit", "0"}}), ApiError);
  EXPECT_THROW(read_page({{"limit", "1x"}}), ApiError);
  EXPECT_THROW(page_of(items, read_page({{"after", "9"}})), ApiError);
}

TEST(ApiKeys, hashes_are_those_of_the_standard) {
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex(sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(ApiKeys, each_is_an_owners_by_text_or_by_hash) {
  const ApiKeys keys = ApiKeys::parse("# team\nanna:sk-0123456789abcdef\r\n\nben:" + hex(sha256("another-long-key-0")) +
                                          "\nanna:a-second-key-of-hers\n",
                                      "keys.txt");
  EXPECT_EQ(keys.owner_of("sk-0123456789abcdef"), "anna");
  EXPECT_EQ(keys.owner_of("a-second-key-of-hers"), "anna");
  EXPECT_EQ(keys.owner_of("another-long-key-0"), "ben");
  EXPECT_EQ(keys.owner_of(hex(sha256("another-long-key-0"))), std::nullopt) << "the hash is no key";
  EXPECT_EQ(keys.owner_of(""), std::nullopt);
  EXPECT_THROW(ApiKeys::parse("no colon", "keys.txt"), Error);
  EXPECT_THROW(ApiKeys::parse("a:short", "keys.txt"), Error);
  EXPECT_THROW(ApiKeys::parse("a b:0123456789abcdef", "keys.txt"), Error);
}

TEST(ApiKeys, come_in_either_header) {
  EXPECT_EQ(ApiKeys::key_of({{"Authorization", "Bearer abc"}}), "abc");
  EXPECT_EQ(ApiKeys::key_of({{"authorization", "bearer abc "}}), "abc");
  EXPECT_EQ(ApiKeys::key_of({{"X-API-Key", "abc"}}), "abc");
  EXPECT_EQ(ApiKeys::key_of({{"Authorization", "Basic abc"}}), "");
}

TEST(ApiRates, allow_so_many_a_minute_and_say_when_there_is_more) {
  RateLimits limits(2, 1);
  limits.request("a", 0);
  limits.request("a", 0);
  try {
    limits.request("a", 0);
    FAIL();
  } catch (const ApiError& e) {
    EXPECT_EQ(e.status, 429);
    EXPECT_EQ(e.retry_after, 30);
  }
  limits.request("b", 0);
  limits.request("a", 31);
  const auto held = std::make_unique<RateLimits::Place>(limits, "a");
  EXPECT_THROW(RateLimits::Place(limits, "a"), ApiError);
  EXPECT_NO_THROW(RateLimits::Place(limits, "b"));
}

TEST(ApiMetrics, buckets_count_all_below_them) {
  SecondsHistogram seconds;
  seconds.add(0.002);
  seconds.add(0.02);
  seconds.add(1000);
  std::string out;
  seconds.write(out, "x", "help");
  EXPECT_THAT(out, HasSubstr("x_bucket{le=\"0.001\"} 0\n"));
  EXPECT_THAT(out, HasSubstr("x_bucket{le=\"0.0025\"} 1\n"));
  EXPECT_THAT(out, HasSubstr("x_bucket{le=\"0.025\"} 2\n"));
  EXPECT_THAT(out, HasSubstr("x_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(out, HasSubstr("x_count 3\n"));
}

TEST(ApiLog, a_line_is_json) {
  const Json line =
      Json::parse(log_text({"req", "anna", "POST", "/v1/x\n", "::1", 200, 1.26, {{"prompt_tokens", 3}}}, 0.5));
  EXPECT_EQ(line["time"], "1970-01-01T00:00:00.500Z");
  EXPECT_EQ(line["path"], "/v1/x\n");
  EXPECT_EQ(line["prompt_tokens"], 3);
  EXPECT_EQ(line["ms"], 1.3);
}

}  // namespace
}  // namespace ingrain::serve::api
