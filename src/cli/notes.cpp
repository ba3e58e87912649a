#include "cli/notes.h"

#include "cli/ranges.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/unfinished.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace ingrain::cli {

namespace fs = std::filesystem;

void NotepadOptions::add_to(CLI::App& command) {
  command.add_flag("--notepad", on,
                   "Look the question's words up in the notes beside the memory, and read the best passages before it");
  add_whole(command, "--passages", passages, "With --notepad: how many passages at most", 1, 64)->capture_default_str();
}

std::unique_ptr<serve::Notepad> open_notes(const std::string& memory) {
  return std::make_unique<serve::Notepad>(serve::existing_notes_file(memory), serve::Open::read_only);
}

std::unique_ptr<serve::Notepad> notes_to_go_on(const std::string& memory) {
  if (memory.empty() || !fs::exists(serve::notes_file(memory))) return std::make_unique<serve::Notepad>();
  return serve::Notepad::copy_of(serve::notes_file(memory));
}

void require_notes_writable(const std::string& memory) {
  const fs::path file = serve::notes_file(memory);
  require_writable(file);
  serve::require_notepad(file);
}

void require_memory_writable(const std::string& memory, const std::string& from) {
  require_writable(memory);
  serve::require_notepad(serve::notes_file(memory));
  if (from.empty() || !fs::exists(serve::notes_file(from))) return;
  const serve::Notepad notes(serve::notes_file(from), serve::Open::read_only);
  require_writable(serve::notes_file(memory));
}

void save_with_notes(const std::string& memory, const std::function<void()>& write) {
  const fs::path notes = serve::notes_file(memory);
  const bool were_there = fs::exists(notes);
  try {
    write();
  } catch (...) {
    std::error_code ignored;
    if (!were_there) fs::remove(notes, ignored);
    throw;
  }
}

void save_notes(const serve::Notepad& notes, const std::string& memory) { notes.save(serve::notes_file(memory)); }

void carry_notes(const std::string& from, const std::string& to) {
  const fs::path old = serve::notes_file(from), now = serve::notes_file(to);
  std::error_code error;
  if (!from.empty() && (from == to || fs::equivalent(from, to, error))) return;
  require_writable(to);
  const bool some = !from.empty() && fs::exists(old);
  serve::require_notepad(now);
  if (some)
    serve::Notepad::copy_of(old)->save(now);
  else if (fs::exists(now))
    fs::remove(now);
}

void print_sources(const std::vector<serve::Passage>& passages) {
  for (const serve::Passage& passage : passages)
    std::printf("  [%s, byte %s]\n", printable(passage.source, 200).c_str(),
                with_commas(static_cast<int64_t>(passage.offset)).c_str());
}

nlohmann::json sources_json(const std::vector<serve::Passage>& passages) {
  nlohmann::json out = nlohmann::json::array();
  for (const serve::Passage& passage : passages)
    out.push_back(
        {{"source", passage.source}, {"offset", passage.offset}, {"score", passage.score}, {"text", passage.text}});
  return out;
}

}  // namespace ingrain::cli
