"""A program on a terminal of its own, as a person sees it."""
import contextlib
import os
import pty
import select
import signal
import termios
import time

from conftest import default_signals


class Terminal:
    def __init__(self, *command, **environment):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            default_signals()
            os.environ.update(TERM="xterm", LC_ALL="C.UTF-8", OMP_NUM_THREADS="1", **environment)
            os.execv(command[0], [str(word) for word in command])
        while os.readlink(f"/proc/{self.pid}/exe") == os.readlink("/proc/self/exe"):  # Python's child, whose handlers are Python's
            time.sleep(0.01)

    def poll(self):
        """As of a Popen that has not ended: for wait_until_caught()."""
        return None

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def wait_for(self, text, timeout=120):
        """Until `text` has been shown (after what was waited for before)."""
        end = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} did not come; this did: {self.seen!r}"
            if select.select([self.fd], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    assert text in self.seen, f"{text!r} did not come before the end: {self.seen!r}"
        at = self.seen.index(text) + len(text)
        shown, self.seen = self.seen[:at], self.seen[at:]
        return shown

    def wait_for_prompt(self, prompt="> ", timeout=60):
        """Until the line editor listens: the prompt stands before it takes the keys from the terminal."""
        self.wait_for(prompt)
        end = time.monotonic() + timeout
        while termios.tcgetattr(self.fd)[3] & termios.ICANON:
            assert time.monotonic() < end, "the line editor does not listen"
            time.sleep(0.005)

    @contextlib.contextmanager
    def held(self, timeout=60):
        """What the program prints waits meanwhile, and the program with it. Gives a function that waits until it does."""
        end = time.monotonic() + timeout

        def wait_until_printing():
            while open(f"/proc/{self.pid}/syscall").read().split()[1:2] != ["0x1"]:  # a call's first argument: standard output
                assert time.monotonic() < end, "it prints nothing"
                time.sleep(0.005)

        screen = os.open(f"/proc/{self.pid}/fd/1", os.O_RDWR | os.O_NOCTTY)
        termios.tcflow(screen, termios.TCOOFF)
        try:
            yield wait_until_printing
        finally:
            termios.tcflow(screen, termios.TCOON)
            os.close(screen)

    def wait_until_working(self, seconds=0.3, timeout=120):
        """Until the program has computed for so long from now on."""
        def ticks():
            with open(f"/proc/{self.pid}/stat") as file:
                return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))

        before, end = ticks(), time.monotonic() + timeout
        while ticks() - before < seconds * os.sysconf("SC_CLK_TCK"):
            assert time.monotonic() < end, "it does not compute"
            time.sleep(0.01)

    def end(self, timeout=60):
        """Waits for the program's end; its exit status, or minus the signal's number."""
        end = time.monotonic() + timeout
        while True:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"it did not end; {self.seen!r}")
