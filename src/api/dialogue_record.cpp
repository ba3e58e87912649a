#include "api/dialogue_record.h"

#include "base/error.h"

#include <algorithm>

namespace ingrain {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* kStateKind = "ingrain dialogue 1";

void put_log(const TokenLog& log, json& out) {
  out["dropped"] = log.dropped;
  out["tokens"] = log.tokens;
  json& how = out["how"] = json::array();
  for (const HowRead one : log.how) how.push_back(static_cast<int>(one));
}

TokenLog log_of(const json& from) {
  TokenLog out;
  out.tokens = from.at("tokens").get<std::vector<int32_t>>();
  out.how.resize(out.tokens.size());  // all learnt, where it was written before this was kept
  if (const auto how = from.find("how"); how != from.end()) {
    require(how->is_array() && how->size() == out.tokens.size(), "tokens and how differ in number");
    for (size_t i = 0; i < out.how.size(); ++i) {
      const auto one = how->at(i).get<uint64_t>();
      require(one < kHowReads, "{} is no way of reading a token", one);
      out.how[i] = static_cast<HowRead>(one);
    }
  }
  out.dropped = from.at("dropped").get<int64_t>();
  return out;
}

json messages_of(const json& from) {
  json out = from.at("messages");
  require(out.is_array(), "messages is no list");
  for (const auto& message : out)
    require(message.is_object() && message.value("content", json("")).is_string() &&
                message.value("role", json()).is_string(),
            "a message is not one of role and content");
  return out;
}

Exchange exchange_of(const json& from) {
  return {{},
          from.at("same_tokens").get<size_t>(),
          from.at("same_messages").get<size_t>(),
          log_of(from),
          messages_of(from),
          from.at("open").get<bool>()};
}

/// None shares more with what came after it than that has.
void require_sizes(const DialogueRecord& record) {
  size_t tokens = record.log.size(), messages = record.messages.size();
  for (size_t i = record.exchanges.size(); i-- > 0;) {
    const Exchange& one = record.exchanges[i];
    require(one.same_tokens <= tokens && one.same_messages <= messages, "an exchange shares more than there is");
    tokens = one.same_tokens + one.log.size();
    messages = one.same_messages + one.messages.size();
  }
}

}  // namespace

void TokenLog::add(std::span<const int32_t> more, HowRead how_read) {
  tokens.insert(tokens.end(), more.begin(), more.end());
  how.resize(tokens.size(), how_read);
}

void TokenLog::append(const TokenLog& more) {
  tokens.insert(tokens.end(), more.tokens.begin(), more.tokens.end());
  how.insert(how.end(), more.how.begin(), more.how.end());
}

void TokenLog::cut(size_t count) {
  tokens.resize(count);
  how.resize(count);
}

void TokenLog::forget_first(size_t count) {
  tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(count));
  how.erase(how.begin(), how.begin() + static_cast<std::ptrdiff_t>(count));
}

size_t TokenLog::common(const TokenLog& other) const {
  const size_t most = std::min(size(), other.size());
  size_t out = 0;
  while (out < most && tokens[out] == other.tokens[out] && how[out] == other.how[out]) ++out;
  return out;
}

std::string to_json(const DialogueRecord& record) {
  json root{{"kind", kStateKind},
            {"model", record.model},
            {"base", record.base},
            {"open", record.open},
            {"messages", record.messages}};
  put_log(record.log, root);
  root["exchanges"] = json::array();
  for (const Exchange& exchange : record.exchanges) {
    json one{{"same_tokens", exchange.same_tokens},
             {"same_messages", exchange.same_messages},
             {"open", exchange.open},
             {"messages", exchange.messages}};
    put_log(exchange.log, one);
    root["exchanges"].push_back(std::move(one));
  }
  return root.dump(1, ' ', false, json::error_handler_t::replace);
}

DialogueRecord parse_dialogue_record(std::string_view text) {
  try {
    const auto root = json::parse(text);
    require(root.at("kind") == kStateKind, "it is of another kind");
    DialogueRecord out{root.at("model").get<std::string>(),
                       root.at("base").get<int64_t>(),
                       root.at("open").get<bool>(),
                       messages_of(root),
                       log_of(root),
                       {}};
    // Those written before there were exchanges have none.
    for (const auto& one : root.value("exchanges", json::array())) out.exchanges.push_back(exchange_of(one));
    require_sizes(out);
    return out;
  } catch (const nlohmann::json::exception& e) {
    fail("{}", e.what());
  }
}

}  // namespace ingrain
