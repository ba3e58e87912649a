#include "cli/program.h"

#include "base/allocator.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/output.h"
#include "cli/command_line.h"
#include "ingrain/option_error.h"
#include "ops/simd/processor.h"

#include <c10/util/Exception.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <system_error>
#include <vector>

namespace ingrain::cli {
namespace {

int run_command(const std::string& version, int argc, char** argv) {
  const auto app = make_app(version);
  try {
    app->parse(argc, argv);
  } catch (const CLI::Success& e) {
    const std::string unknown = unknown_command(*app, argc, argv);
    if (unknown.empty()) return app->exit(e);
    std::fprintf(stderr, "ingrain: %s\n", unknown.c_str());
    return 2;
  } catch (const CLI::ParseError& e) {
    std::fprintf(stderr, "ingrain: %s\n", explain(*app, argc, argv, e).c_str());
    return 2;
  }
  // What was kept is kept, and still a caller must know that not all was done. In a conversation Ctrl-C only ends an
  // answer.
  const bool ended_an_answer = app->got_subcommand("chat") && interrupt_signal() == SIGINT;
  return interrupted() && !ended_an_answer ? 128 + interrupt_signal() : 0;
}

/// To the exit status.
int run_with_errors(const std::string& version, int argc, char** argv) {
  guard_standard_streams();
  keep_freed_memory();
  try {
    ops::limit_processor();
    std::vector<char*> words = with_help_at_end(argc, argv);
    const int status = run_command(version, static_cast<int>(words.size()) - 1, words.data());
    finish_output();
    return status;
  } catch (const Stopped& e) {
    std::fprintf(stderr, "ingrain: %s\n", e.what());
    return 128 + interrupt_signal();
  } catch (const OptionError& e) {
    std::fprintf(stderr, "ingrain: %s %s\n", flag_of(e.option()).c_str(), e.reason().c_str());
    return 2;
  } catch (const UsageError& e) {
    std::fprintf(stderr, "ingrain: %s\n", e.what());
    return 2;
  } catch (const Error& e) {
    std::fprintf(stderr, "ingrain: %s\n", e.what());
    return 1;
  } catch (const c10::OutOfMemoryError&) {
    std::fprintf(stderr,
                 "ingrain: the GPU's memory is full; try a smaller batch or model, or the CPU (--device cpu, "
                 "train.device = \"cpu\")\n");
    return 1;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "ingrain: out of memory; try a smaller batch, segment or model\n");
    return 1;
  } catch (const std::system_error& e) {  // fmt::print's, where standard output takes nothing
    std::fprintf(stderr, "ingrain: %s\n", e.what());
    return 1;
  } catch (const std::exception& e) {
    const std::string text = e.what();  // libtorch's errors go on with a backtrace
    std::fprintf(stderr, "ingrain: unexpected error (a defect worth reporting): %s\n",
                 text.substr(0, text.find("\nException raised")).c_str());
    return 1;
  }
}

}  // namespace

void run_program(const std::string& version, int argc, char** argv) {
  const int status = run_with_errors(version, argc, argv);
  std::fflush(nullptr);
  // Nothing of ours waits for the process's end, and libtorch takes 80 ms for it.
  std::_Exit(status);
}

}  // namespace ingrain::cli
