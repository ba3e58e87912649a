// A watch over the ranks of a run, beside MPI: who waits in a collective operation for a rank that has died waits for
// ever, and not every launcher ends the others. Every rank holds a TCP connection to rank 0, which tells all the others
// what became of one; connections of a process that was killed end at once, and a machine that is gone falls silent.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace ingrain::distributed {

class Communicator;

class Watch {
 public:
  /// Connects all ranks: called on all of them. Error if some cannot reach rank 0.
  explicit Watch(Communicator& ranks);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  /// The other ranks are told that this one stops, and why; each then prints that and ends with status 1.
  void fail(const std::string& why);
  /// No rank's end is news any more. Called by all, between two meetings of them.
  void leave();

 private:
  struct Peer {
    int fd = -1;
    std::string name;   // "rank 1 (node-7, process 4711)"
    std::string heard;  // of a message that is not whole yet
    double silent_s = 0;
  };

  void connect_all(Communicator& ranks);
  void accept_all(int listener, const std::vector<std::string>& names, const std::string& token);
  void watch();
  void listen_to(Peer& peer);
  void tell_all(const std::string& why, const Peer* except);
  void end(const std::string& why, const Peer* from);  // the process's, unless this rank is leaving

  std::string name_;
  std::vector<Peer> peers_;  // rank 0's: all others; others': rank 0
  std::atomic<bool> leaving_{false};
  std::thread thread_;
};

}  // namespace ingrain::distributed
