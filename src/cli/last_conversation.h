// The latest conversation of `ingrain chat`, kept where the program remembers things, so that none is lost unsaved.
#pragma once

#include "ingrain/dialogue.h"

#include <filesystem>
#include <string>

namespace ingrain::cli {

/// What a conversation began with.
struct ConversationStart {
  std::string model, memory;  // folder; memory file, or empty
  bool special = false;
};

/// Writes what was said and read; after every answer. Readable by their writer alone. What cannot be written is no
/// reason to stop, and is said once on standard error.
void keep_last(const ConversationStart& start, const Dialogue& dialogue);
/// There is none any more: all of it was taken back.
void forget_last();
/// Writes the memory, too, so that going on reads nothing again. False if it could not be written.
bool keep_last_memory(const Dialogue& dialogue);

/// What keep_last() wrote. Error with the remedy if there is nothing.
struct LastConversation {
  ConversationStart start;
  std::string state;                  // for Dialogue::restore()
  std::filesystem::path memory_left;  // the memory as it was left, if that was written
};
LastConversation last_conversation();

}  // namespace ingrain::cli
