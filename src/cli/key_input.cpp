#include "cli/key_input.h"

#include "base/interrupt.h"
#include "cli/line_editor.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace ingrain::cli {
namespace {

constexpr size_t kMaxPaste = 1 << 20;

volatile std::sig_atomic_t g_cancelled = 0;
void on_cancel(int) { g_cancelled = 1; }

// Bytes read ahead. One for the process: what one line left over is the next one's.
std::string g_ahead;

}  // namespace

struct KeyInput::Actions {
  struct sigaction interrupt;
};

KeyInput::KeyInput() : before_(new Actions()) {
  struct sigaction action{};
  action.sa_handler = on_cancel;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // what is being printed then is printed whole
  ::sigaction(SIGINT, ::isatty(STDIN_FILENO) ? &action : nullptr, &before_->interrupt);
  if (before_->interrupt.sa_handler != on_cancel) g_cancelled = 0;  // else one lives around it, and it may have come
}

KeyInput::~KeyInput() {
  ::sigaction(SIGINT, &before_->interrupt, nullptr);
  delete before_;
}

bool KeyInput::wait(int milliseconds) {
  pollfd in{STDIN_FILENO, POLLIN, 0};
  return ::poll(&in, 1, milliseconds) > 0;
}

KeyInput::Event KeyInput::read(char& byte) {
  while (g_ahead.empty()) {
    if (g_cancelled) {
      g_cancelled = 0;
      return Event::cancelled;
    }
    if (interrupted()) return interrupt_signal() == SIGINT && ::isatty(STDIN_FILENO) ? Event::cancelled : Event::end;
    if (!wait(200)) continue;  // a signal between the questions and the wait is seen soon
    char some[4096];
    const ssize_t got = ::read(STDIN_FILENO, some, sizeof(some));
    if (got > 0)
      g_ahead.append(some, static_cast<size_t>(got));
    else if (got == 0 || (errno != EINTR && errno != EAGAIN))
      return Event::end;
  }
  byte = g_ahead.front();
  g_ahead.erase(0, 1);
  return Event::byte;
}

bool KeyInput::take(const std::string& expected) {
  while (g_ahead.size() < expected.size() && std::string_view(expected).starts_with(g_ahead) && wait(30)) {
    char some[4096];
    const ssize_t got = ::read(STDIN_FILENO, some, sizeof(some));
    if (got <= 0) break;
    g_ahead.append(some, static_cast<size_t>(got));
  }
  if (!g_ahead.starts_with(expected)) return false;
  g_ahead.erase(0, expected.size());
  return true;
}

std::string KeyInput::read_paste() {
  constexpr std::string_view kEnd = "\x1b[201~";
  std::string out;
  char byte = 0;
  while (out.size() < kMaxPaste && read(byte) == Event::byte) {
    out += byte;
    if (out.ends_with(kEnd)) {
      out.resize(out.size() - kEnd.size());
      break;
    }
  }
  return out;
}

Line read_plain_line() {
  KeyInput input;
  Line out;
  for (char byte = 0;;) {
    switch (input.read(byte)) {
      case KeyInput::Event::cancelled: return {Line::cancelled, {}};
      case KeyInput::Event::end: return out.said.empty() ? Line{Line::end, {}} : Line{Line::text, out.said};
      case KeyInput::Event::byte: break;
    }
    if (byte == '\n') return {Line::text, out.said};
    out.said += byte;
  }
}

}  // namespace ingrain::cli
