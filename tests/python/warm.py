"""The program in forks of a process that has begun (tests/tools/warm_program.cpp): libtorch takes a quarter of a second to
begin, and the tests start the program some thousand times."""
import os
import signal
import socket
import struct
import subprocess
import threading

# What libraries read as they are loaded: a run in which one is otherwise is a process of its own.
LOADED = ("OMP_", "GOMP_", "KMP_", "MKL_", "LD_", "GLIBC_", "MALLOC_", "TORCH", "PYTORCH", "ATEN", "LC_", "LANG", "ASAN", "UBSAN")


def as_loaded(environment):
    return {name: value for name, value in environment.items() if name.startswith(LOADED)}


class WarmProgram:
    def __init__(self, warm, program):
        self.program, self.warm, self.process = program, warm, None
        self.loaded = as_loaded(os.environ)

    def begin(self):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            for end in (self.socket, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
            self.process = subprocess.Popen([self.warm, str(theirs.fileno())], pass_fds=[theirs.fileno()], start_new_session=True)

    def run(self, args, input=None, cwd=None, env=None, timeout=300):
        """As subprocess.run(capture_output=True, text=True); without input there is none."""
        environment = dict(os.environ if env is None else env)
        args = [str(self.program), *map(str, args)]
        if as_loaded(environment) != self.loaded or any("\0" in arg for arg in args):
            return subprocess.run(args, input=input or "", cwd=cwd, env=env, timeout=timeout, capture_output=True, text=True)
        if self.process is None:
            self.begin()
        pipes = [os.pipe() for _ in range(3)]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        fields = [str(cwd or os.getcwd()), str(len(args)), *args, *(f"{name}={value}" for name, value in environment.items())]
        socket.send_fds(self.socket, [b"".join(os.fsencode(field) + b"\0" for field in fields)], theirs)
        for end in theirs:
            os.close(end)
        pid = struct.unpack("i", self.socket.recv(4))[0]
        read = {}

        def write():
            try:
                with open(pipes[0][1], "w", encoding="utf-8") as to:
                    to.write(input or "")
            except BrokenPipeError:  # it ended without reading
                pass

        def take(name, end):
            with open(end, encoding="utf-8") as of:
                read[name] = of.read()

        threads = [threading.Thread(target=write), threading.Thread(target=take, args=("stdout", pipes[1][0])), threading.Thread(target=take, args=("stderr", pipes[2][0]))]
        for thread in threads:
            thread.start()
        self.socket.settimeout(timeout)
        try:
            status = struct.unpack("i", self.socket.recv(4))[0]
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self.socket.settimeout(None)
            self.socket.recv(4)
            raise subprocess.TimeoutExpired(args, timeout) from None
        finally:
            for thread in threads:
                thread.join()
        return subprocess.CompletedProcess(args, os.waitstatus_to_exitcode(status), read["stdout"], read["stderr"])

    def end(self):
        if self.process is not None:
            self.socket.close()
            self.process.wait()
