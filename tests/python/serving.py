"""A server of the built program for tests: on a free port, with a store of its own."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

from conftest import BUILD

ROOT = pathlib.Path(__file__).resolve().parents[2]
READER = ROOT / "models" / "reader-17m"
PROGRAM = BUILD / "src" / "cli" / "ingrain"


class Server:
    """`ingrain serve` with these options; a context."""

    def __init__(self, store, *options, model=READER, environment=None):
        command = [str(PROGRAM), "serve", str(model), "--port", "0", "--store", str(store), *map(str, options)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                                        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})})
        self.lines = []
        self.host = None
        self.listening = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        self.listening.wait(120)
        if not self.host:
            self.process.kill()
            raise RuntimeError("the server did not start:\n" + "".join(self.lines))
        self.url = f"http://{self.host}"

    def _listen(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if not self.host and "http://" in line:
                self.host = line.split("http://")[1].split()[0].rstrip("/.,;\"")
                self.listening.set()
        self.listening.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, with_signal=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        return self.process.wait(60)

    def request(self, method, path, body=None, headers=None, timeout=120):
        """Status, headers, and the body: JSON where it is."""
        connection = http.client.HTTPConnection(self.host, timeout=timeout)
        data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        headers = dict(headers or {})
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, data, headers)
        reply = connection.getresponse()
        raw = reply.read()
        connection.close()
        kind = reply.headers.get("Content-Type", "")
        return reply.status, reply.headers, json.loads(raw) if "application/json" in kind else raw

    def post(self, path, body, **more):
        """The reply to what must succeed."""
        status, _, reply = self.request("POST", path, body, **more)
        assert status in (200, 201), (status, reply)
        return reply

    def events(self, path, body, headers=None):
        """Server-sent events as (name or None, data) until the stream ends."""
        connection = http.client.HTTPConnection(self.host, timeout=120)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
        reply = connection.getresponse()
        assert reply.status == 200, (reply.status, reply.read())
        name = None
        for line in reply:
            line = line.decode().rstrip("\r\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                yield name, line[6:] if line[6:] == "[DONE]" else json.loads(line[6:])
                name = None
        connection.close()


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
