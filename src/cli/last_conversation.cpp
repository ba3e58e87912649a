#include "cli/last_conversation.h"

#include "base/error.h"
#include "base/files.h"
#include "cli/paths.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace ingrain::cli {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxState = 256 << 20;

fs::path state_file() { return state_folder() / "last.json"; }
fs::path memory_file() { return state_folder() / "last.memory"; }

void make_private_folder() {
  const fs::path folder = state_folder();
  require(!folder.empty(), "there is no HOME to keep the conversation in");
  if (fs::create_directories(folder)) fs::permissions(folder, fs::perms::owner_all);
}

void make_private(const fs::path& file) { fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write); }

constexpr const char* kNotFound = "will not find this conversation";

std::string absolute(const std::string& path) { return path.empty() ? "" : fs::absolute(path).string(); }

/// What lies there but is no regular file is not ours.
void remove_ours(const fs::path& file) {
  if (fs::is_regular_file(fs::symlink_status(file))) fs::remove(file);
}

template <class Work>
bool said_once(const char* what, Work&& work) {
  static bool said = false;
  try {
    work();
    return true;
  } catch (const std::exception& e) {
    if (!said) std::fprintf(stderr, "ingrain: 'chat --last' %s: %s\n", what, e.what());
    said = true;
    return false;
  }
}

}  // namespace

void keep_last(const ConversationStart& start, const Dialogue& dialogue) {
  said_once(kNotFound, [&] {
    make_private_folder();
    const nlohmann::ordered_json root{{"model", absolute(start.model)},
                                      {"memory", absolute(start.memory)},
                                      {"special", start.special},
                                      {"dialogue", dialogue.state()}};
    remove_ours(memory_file());  // of what was said before this, or of another conversation of as many tokens
    write_file(state_file(), root.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
    make_private(state_file());
  });
}

void forget_last() {
  said_once("will find what was taken back", [] {
    remove_ours(state_file());
    remove_ours(memory_file());
  });
}

bool keep_last_memory(const Dialogue& dialogue) {
  return said_once("will read this conversation again, since its memory is not kept", [&] {
    make_private_folder();
    dialogue.memory().save(memory_file());
    make_private(memory_file());
  });
}

LastConversation last_conversation() {
  require(!state_folder().empty() && fs::exists(state_file()),
          "there is no conversation to go on with; 'ingrain chat' begins one");
  LastConversation out;
  try {
    const auto root = nlohmann::ordered_json::parse(read_file(state_file(), kMaxState));
    out.start = {root.at("model").get<std::string>(), root.at("memory").get<std::string>(),
                 root.at("special").get<bool>()};
    out.state = root.at("dialogue").get<std::string>();
  } catch (const nlohmann::json::exception& e) {
    fail("{}: damaged ({}); 'ingrain chat' begins a new conversation", state_file().string(), e.what());
  }
  if (fs::exists(memory_file())) out.memory_left = memory_file();
  return out;
}

}  // namespace ingrain::cli
