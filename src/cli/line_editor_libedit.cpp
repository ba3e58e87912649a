#include "cli/key_input.h"
#include "cli/line_editor.h"
#include "cli/paths.h"

#include <fmt/format.h>

#include <histedit.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <deque>
#include <filesystem>
#include <memory>
#include <string_view>

namespace ingrain::cli {
namespace {

constexpr wchar_t kQuote = L'\x16';  // Ctrl-V: what follows is inserted as it is

std::filesystem::path from_home(const char* variable, const char* name) {
  if (const char* file = std::getenv(variable); file && *file) return file;
  const char* home = std::getenv("HOME");
  return home && *home ? std::filesystem::path(home) / name : std::filesystem::path();
}

/// Whether a library that opens `file` waits for its other end: it is there and no regular file.
bool is_waited_for(const std::filesystem::path& file) {
  std::error_code none;
  return !file.empty() && std::filesystem::exists(file, none) && !std::filesystem::is_regular_file(file, none);
}

/// The person's own description of the terminal, which libedit's terminal library opens, is a FIFO or device.
bool terminal_is_waited_for() {
  const char* name = std::getenv("TERM");
  if (!name || !*name || std::string_view(name).find('/') != std::string_view::npos) return false;
  const char letter[] = {*name, 0};
  const std::string code = fmt::format("{:x}", static_cast<unsigned char>(*name));
  for (const std::filesystem::path& folder : {from_home("TERMINFO", ".terminfo"), from_home("", ".terminfo")})
    for (const std::string& part : {std::string(letter), code})
      if (is_waited_for(folder / part / name)) return true;
  return false;
}

/// libedit with where its keys come from: ours, so that Ctrl-C, a signal and a paste of several lines are seen.
class Editor {
 public:
  Editor() {
    if (const char* locale = std::setlocale(LC_CTYPE, ""); !locale || MB_CUR_MAX == 1)
      std::setlocale(LC_CTYPE, "C.UTF-8");
    history_ = ::history_init();
    HistEvent event;
    ::history(history_, &event, H_SETSIZE, 1000);
    ::history(history_, &event, H_SETUNIQUE, 1);
    // Lines typed before are kept between runs, readable by their writer alone.
    if (const auto folder = state_folder(); !folder.empty()) file_ = folder / "history";
    if (is_waited_for(file_)) file_.clear();
    if (!file_.empty()) ::history(history_, &event, H_LOAD, file_.c_str());
    editor_ = ::el_init("ingrain", stdin, stdout, stderr);
    ::el_set(editor_, EL_CLIENTDATA, this);
    ::el_set(editor_, EL_PROMPT, &Editor::prompt_of);
    ::el_set(editor_, EL_EDITOR, "emacs");
    ::el_set(editor_, EL_SIGNAL, 0);
    ::el_set(editor_, EL_HIST, ::history, history_);
    ::el_set(editor_, EL_GETCFN, &Editor::key_of);
    ::el_set(editor_, EL_BIND, "\x12", "em-inc-search-prev", nullptr);
    const auto settings = from_home("EDITRC", ".editrc");
    std::error_code none;
    if (std::filesystem::is_regular_file(settings, none)) ::el_source(editor_, settings.c_str());
  }

  Line read(const std::string& prompt) {
    KeyInput input;
    input_ = &input;
    prompt_ = prompt;
    stopped_.reset();
    keys_.clear();
    typed_ = false;
    std::fputs("\x1b[?2004h", stdout);  // pastes come between marks
    std::fflush(stdout);
    int count = 0;
    const char* got = ::el_gets(editor_, &count);
    std::fputs("\x1b[?2004l", stdout);
    std::fflush(stdout);
    input_ = nullptr;
    if (stopped_) {
      if (*stopped_ == KeyInput::Event::cancelled) {
        std::fputs("^C\n", stdout);
        return {Line::cancelled, {}, typed_};
      }
      return {};
    }
    if (!got || count <= 0) return {};
    std::string line(got, static_cast<size_t>(count));
    if (line.ends_with('\n')) line.pop_back();
    if (!line.empty()) remember(line);
    return {Line::text, std::move(line)};
  }

 private:
  static Editor& of(EditLine* editor) {
    void* self = nullptr;
    ::el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<Editor*>(self);
  }
  static char* prompt_of(EditLine* editor) { return of(editor).prompt_.data(); }
  static int key_of(EditLine* editor, wchar_t* key) { return of(editor).key(*key) ? 1 : -1; }

  bool key(wchar_t& out) {
    if (keys_.empty() && !fill()) return false;
    out = keys_.front();
    keys_.pop_front();
    typed_ = true;
    return true;
  }

  /// The next character, or all of a paste.
  bool fill() {
    std::mbstate_t state{};
    for (;;) {
      char byte = 0;
      const KeyInput::Event event = input_->read(byte);
      if (event != KeyInput::Event::byte) {
        stopped_ = event;
        return false;
      }
      if (byte == '\x1b' && input_->take("[200~")) {
        add_paste(input_->read_paste());
        if (keys_.empty()) continue;
        return true;
      }
      wchar_t wide = 0;
      const size_t used = std::mbrtowc(&wide, &byte, 1, &state);
      if (used == static_cast<size_t>(-2)) continue;  // within a character
      if (used == static_cast<size_t>(-1)) {
        state = {};
        continue;
      }
      keys_.push_back(wide);
      return true;
    }
  }

  void add_paste(std::string_view text) {
    std::mbstate_t state{};
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    for (size_t i = 0; i < text.size();) {
      wchar_t wide = 0;
      const size_t used = std::mbrtowc(&wide, text.data() + i, text.size() - i, &state);
      if (used == 0 || used > text.size()) {
        state = {};
        ++i;
        continue;
      }
      i += used;
      if (wide == L'\r' && i < text.size() && text[i] == '\n') continue;
      if (wide == L'\r') wide = L'\n';
      if (wide == L'\n' || wide == L'\t') keys_.push_back(kQuote);
      if (wide == L'\n' || wide == L'\t' || (wide >= L' ' && wide != L'\x7f')) keys_.push_back(wide);
    }
  }

  void remember(const std::string& line) {
    HistEvent event;
    ::history(history_, &event, H_ENTER, line.c_str());
    if (file_.empty()) return;
    std::error_code ignored;  // without a place for it there is no history, and that is no reason to stop
    std::filesystem::create_directories(file_.parent_path(), ignored);
    ::history(history_, &event, H_SAVE, file_.c_str());
    using std::filesystem::perms;
    std::filesystem::permissions(file_, perms::owner_read | perms::owner_write, ignored);
  }

  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  KeyInput* input_ = nullptr;
  std::string prompt_;
  std::deque<wchar_t> keys_;
  std::optional<KeyInput::Event> stopped_;
  bool typed_ = false;  // a key of this line
  std::filesystem::path file_;
};

}  // namespace

Line read_line(const std::string& prompt) {
  static const bool plain = !::isatty(STDIN_FILENO) || terminal_is_waited_for();
  if (plain) {
    if (::isatty(STDIN_FILENO)) std::fputs(prompt.c_str(), stdout), std::fflush(stdout);
    return read_plain_line();
  }
  static Editor* editor = new Editor();  // lives as long as the process
  return editor->read(prompt);
}

}  // namespace ingrain::cli
