#include "base/interrupt.h"

#include <csignal>

namespace ingrain {
namespace {

volatile std::sig_atomic_t g_signal = 0;

void on_signal(int signal) {
  g_signal = signal;
  std::signal(signal, SIG_DFL);  // the second one is final
}

}  // namespace

void watch_interrupts() {
  g_signal = 0;
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() { return g_signal != 0; }

}  // namespace ingrain
