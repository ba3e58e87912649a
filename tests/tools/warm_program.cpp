// The program for tests that start it hundreds of times: libtorch takes a quarter of a second to begin, so this process
// begins once, and each run of the program is a fork of it (tests/python/warm.py).
//
// warm_program SOCKET: from the socket of that number comes, for each run, a message of fields that end with a zero
// byte: the folder to run in, how many arguments there are, these, and the environment; with it three descriptors, the
// standard streams. Back go the process's number, then its status as waitpid() gives it, 4 bytes each.
#include "cli/program.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

struct Run {
  std::vector<std::string> fields;
  std::array<int, 3> streams;
};

/// False at the socket's end.
bool receive(int socket, Run& run) {
  std::vector<char> message(1 << 20);
  iovec part{message.data(), message.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof run.streams)];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const ssize_t size = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  if (size <= 0 || !CMSG_FIRSTHDR(&header) || (header.msg_flags & MSG_TRUNC)) return false;
  std::memcpy(run.streams.data(), CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof run.streams);
  run.fields.clear();
  for (const char* at = message.data(); at < message.data() + size; at += run.fields.back().size() + 1)
    run.fields.emplace_back(at);
  return run.fields.size() >= 2;
}

/// In the fork: as a process that has just been started.
[[noreturn]] void become(Run& run) {
  for (int i = 0; i < 3; ++i) dup2(run.streams[i], i);
  const size_t arguments = std::stoul(run.fields[1]);
  if (chdir(run.fields[0].c_str()) != 0 || run.fields.size() < 2 + arguments) std::_Exit(126);
  std::vector<char*> argv;
  for (size_t i = 0; i < arguments; ++i) argv.push_back(run.fields[2 + i].data());
  argv.push_back(nullptr);
  clearenv();
  for (size_t i = 2 + arguments; i < run.fields.size(); ++i) putenv(run.fields[i].data());
  ingrain::cli::run_program("ingrain " INGRAIN_VERSION, static_cast<int>(arguments), argv.data());
}

}  // namespace

int main(int, char** argv) {
  const int socket = std::atoi(argv[1]);
  for (Run run; receive(socket, run);) {
    const pid_t child = fork();
    if (child == 0) {
      close(socket);
      become(run);
    }
    for (const int stream : run.streams) close(stream);
    int status = -1;
    if (write(socket, &child, sizeof child) != sizeof child) return 1;
    if (child > 0) waitpid(child, &status, 0);
    if (write(socket, &status, sizeof status) != sizeof status) return 1;
  }
}
