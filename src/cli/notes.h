// The notepad of a memory file, as commands use it: looked up, written beside a memory, carried along.
#pragma once

#include "serve/notes/notepad.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ingrain::cli {

struct NotepadOptions {
  bool on = false;
  int64_t passages = 4;

  /// Adds --notepad and --passages.
  void add_to(CLI::App& command);
};

/// The notes beside a memory, to look things up in. Error with the remedy if there are none.
std::unique_ptr<serve::Notepad> open_notes(const std::string& memory);
/// In RAM, to go on with: those beside a memory, or none.
std::unique_ptr<serve::Notepad> notes_to_go_on(const std::string& memory);

/// Error if what lies where a memory's notes will be is no notepad, or cannot be replaced: before the work.
void require_notes_writable(const std::string& memory);
/// Error if a memory cannot be written there, or what lies where its notes would is no notepad, or the notes beside
/// `from` that would go along are none: before the work.
void require_memory_writable(const std::string& memory, const std::string& from = "");
/// `write` puts notes and then the memory that they belong to in place. If it fails, notes that were not there before
/// go.
void save_with_notes(const std::string& memory, const std::function<void()>& write);
/// Writes them beside a memory, which is written after them: a memory never lacks notes of what it has read.
void save_notes(const serve::Notepad& notes, const std::string& memory);
/// What lies beside `from` ("": nothing) goes along to its copy `to`; notes of a memory that was there before go.
void carry_notes(const std::string& from, const std::string& to);

/// Where passages come from, for people ("emma.txt, byte 1,234") and as JSON.
void print_sources(const std::vector<serve::Passage>& passages);
nlohmann::json sources_json(const std::vector<serve::Passage>& passages);

}  // namespace ingrain::cli
