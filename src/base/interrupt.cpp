#include "base/interrupt.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

namespace ingrain {
namespace {

constexpr time_t kFinalAfter = 2;  // seconds
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

std::atomic<int> g_signal = 0;  // lock-free, so that a handler may write it
static_assert(std::atomic<int>::is_always_lock_free);
volatile time_t g_first_second = 0;
/// What is said of a signal; written before the handlers are set.
struct Notice {
  char text[200];
  volatile std::sig_atomic_t size = 0;

  void set(std::string_view keeps, Said where) {
    size = 0;
    if (keeps.empty()) return;
    const char* const begin = !::isatty(STDERR_FILENO) ? "" : where == Said::after_text ? "\n" : "\r\033[K";
    const std::string said = fmt::format("{}ingrain: stopping; {}\n", begin, keeps);
    const size_t length = std::min(said.size(), sizeof text);
    std::memcpy(text, said.data(), length);
    size = static_cast<std::sig_atomic_t>(length);
  }
};
Notice g_ends, g_ctrl_c;
volatile std::sig_atomic_t g_ctrl_c_ends = 1;  // as the others do

time_t monotonic_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

void on_signal(int signal) {
  const int error = errno;
  const bool first = g_signal == 0, first_to_end = g_signal == SIGINT && !g_ctrl_c_ends && signal != SIGINT;
  if (first || first_to_end) {
    g_first_second = monotonic_seconds();
    g_signal = signal;
    const Notice& said = signal == SIGINT ? g_ctrl_c : g_ends;
    const auto size = static_cast<size_t>(said.size);
    if (size > 0 && ::write(STDERR_FILENO, said.text, size) < 0) errno = error;  // nobody listens: no matter
  } else if (monotonic_seconds() - g_first_second > kFinalAfter) {
    std::signal(signal, SIG_DFL);
    ::raise(signal);  // delivered when this handler returns
  }
  errno = error;
}

}  // namespace

void announce_interrupts(std::string_view keeps, Said where, std::string_view ctrl_c) {
  g_ends.set(keeps, where);
  g_ctrl_c.set(ctrl_c.empty() ? keeps : ctrl_c, where);
  g_ctrl_c_ends = ctrl_c.empty();
}

void watch_interrupts(std::string_view keeps, Said where, std::string_view ctrl_c) {
  announce_interrupts(keeps, where, ctrl_c);
  g_signal = 0;
  for (const int signal : kSignals) {
    struct sigaction now{};
    if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN) continue;
    std::signal(signal, on_signal);
  }
}

void forget_ctrl_c() {
  int came = SIGINT;
  g_signal.compare_exchange_strong(came, 0);
}

bool interrupted() { return g_signal != 0; }

int interrupt_signal() { return g_signal; }

void stop_if_interrupted(std::string_view outcome) {
  if (interrupted()) throw Stopped(std::string(outcome));
}

void wait_readable(int fd, const std::string& name) {
  constexpr int kAskAgain = 200;  // milliseconds: a signal between the question and poll() would be missed
  for (;;) {
    stop_if_interrupted(name + ": stopped while waiting for it");
    pollfd one{fd, POLLIN, 0};
    const int ready = ::poll(&one, 1, kAskAgain);
    stop_if_interrupted(name + ": stopped while waiting for it");  // what came with the signal is no text's end
    if (ready > 0 || (ready < 0 && errno != EINTR)) return;        // what is wrong with it, read() says
  }
}

}  // namespace ingrain
