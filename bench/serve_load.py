#!/usr/bin/env python3
"""Load for a running `ingrain serve`: N connections, each streaming chats, reading texts and leaving amid an answer.

    python3 bench/serve_load.py http://127.0.0.1:8080 --connections 200 --seconds 120 --pid PID [--key KEY] [--json FILE]

Replies by status, time to the first token, time between tokens, the server's memory. What is neither 2xx nor a documented refusal of a
busy server (429, 503 with Retry-After) is an error, and so is a stream that ends before its end. Exit status 1 if there was one.
Nothing but Python's own library, so that it runs wherever the server does.
"""
import argparse
import asyncio
import collections
import json
import pathlib
import random
import sys
import time
import urllib.parse

WORDS = ("the river kept its own account of what the village had forgotten and every spring it read the pages back to "
         "anyone who stood long enough on the wooden bridge to listen for a name").split()


class Broken(Exception):
    """The server did what it must not: an answer that is none, or half a one."""


class Client:
    """One connection at a time, opened anew whenever it was closed."""

    def __init__(self, url, key):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise SystemExit(f"serve_load: '{url}' is no http:// address; give the server's own, without TLS")
        self.host, self.port, self.key = parts.hostname, parts.port or 80, key
        self.reader = self.writer = None

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def request(self, method, path, body=None):
        """Status and headers. A kept connection that the server had closed meanwhile is opened once more."""
        for attempt in range(2):
            fresh = self.writer is None
            try:
                if fresh:
                    self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
                data = b"" if body is None else json.dumps(body).encode()
                head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Length: {len(data)}\r\n"
                if data:
                    head += "Content-Type: application/json\r\n"
                if self.key:
                    head += f"Authorization: Bearer {self.key}\r\n"
                self.writer.write(head.encode() + b"\r\n" + data)
                await self.writer.drain()
                return await self.head()
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                self.close()
                if fresh or attempt == 1:
                    raise Broken(f"no reply: {error or type(error).__name__}") from error

    async def head(self):
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        return int(lines[0].split()[1]), fields

    async def parts(self, fields):
        """The body as it comes."""
        try:
            if fields.get("transfer-encoding") == "chunked":
                while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                    yield await self.reader.readexactly(size)
                    await self.reader.readexactly(2)
                await self.reader.readuntil(b"\r\n")
            elif length := int(fields.get("content-length", 0)):
                yield await self.reader.readexactly(length)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError) as error:
            self.close()
            raise Broken(f"cut amid the body: {error or type(error).__name__}") from error
        if fields.get("connection") == "close":
            self.close()

    async def body(self, fields):
        return b"".join([part async for part in self.parts(fields)])


class Tally:
    def __init__(self):
        self.statuses = collections.Counter()  # (what, status)
        self.broken = collections.Counter()
        self.first, self.between = [], []
        self.chats = self.left = self.tokens = self.characters_read = 0

    def reply(self, what, status, fields, body):
        """Whether it is good; a refusal is counted, and told where it isn't one of a busy server."""
        self.statuses[what, status] += 1
        if 200 <= status < 300:
            return True
        if status in (429, 503):
            if "retry-after" not in fields:
                self.broken[f"{what}: {status} without Retry-After"] += 1
        else:
            self.broken[f"{what}: {status} {body[:200].decode(errors='replace')}"] += 1
        return False


def prose(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(words))


async def events(client, fields):
    """Each event's data of a stream."""
    rest = b""
    async for part in client.parts(fields):
        rest += part
        while (end := rest.find(b"\n\n")) >= 0:
            event, rest = rest[:end], rest[end + 2:]
            for line in event.split(b"\n"):
                if line.startswith(b"data:"):
                    yield line[5:].strip().decode()
    if rest.strip():
        raise Broken(f"a stream ends amid an event: {rest[:80]!r}")


async def chat(client, tally, rng, options, history, leave):
    """One turn of a conversation; with `leave`, the client goes after some tokens."""
    history.append({"role": "user", "content": prose(rng, rng.randint(4, 24)) + "?"})
    began = time.perf_counter()
    status, fields = await client.request("POST", "/v1/chat/completions", {
        "model": options.model, "messages": history, "stream": True, "max_tokens": options.tokens,
        "seed": rng.randrange(1 << 30)})
    if not tally.reply("chat", status, fields, b"" if status < 300 else await client.body(fields)):
        history.pop()
        await asyncio.sleep(min(float(fields.get("retry-after", 0.1)), 2.0))
        return
    answer, last, done, seen = "", began, False, 0
    async for data in events(client, fields):
        if data == "[DONE]":
            done = True
            continue
        chunk = json.loads(data)
        if "error" in chunk:
            tally.broken[f"chat: error in the stream: {json.dumps(chunk['error'])[:200]}"] += 1
            history.pop()
            client.close()
            return
        text = "".join(choice.get("delta", {}).get("content") or "" for choice in chunk.get("choices", []))
        if not text:
            continue
        now = time.perf_counter()
        (tally.between if seen else tally.first).append(now - last)
        last, seen, answer = now, seen + 1, answer + text
        tally.tokens += 1
        if leave and seen >= leave:
            tally.left += 1
            client.close()
            history.clear()
            return
    if not done:
        raise Broken("a chat's stream ends without [DONE]")
    tally.chats += 1
    history.append({"role": "assistant", "content": answer})


async def read(client, tally, rng, options, name):
    """A text into a named memory, which is deleted again."""
    text = prose(rng, options.read_words)
    status, fields = await client.request("POST", "/v1/memories", {"name": name, "text": text})
    body = await client.body(fields)
    if not tally.reply("read", status, fields, body):
        return
    tally.characters_read += len(text)
    memory = json.loads(body)
    status, fields = await client.request("DELETE", f"/v1/memories/{memory['id']}")
    tally.reply("delete", status, fields, await client.body(fields))


async def look(client, tally):
    path = random.choice(("/health", "/v1/models", "/metrics"))
    status, fields = await client.request("GET", path)
    tally.reply(path, status, fields, await client.body(fields))


async def one(number, options, tally, end):
    rng = random.Random(options.seed * 100003 + number)
    client, history, turn = Client(options.url, options.key), [], 0
    await asyncio.sleep(rng.random())  # not all in one instant
    while time.monotonic() < end:
        turn += 1
        try:
            what = rng.random()
            if what < options.reads:
                await read(client, tally, rng, options, f"load-{options.seed}-{number}-{turn}")
            elif what < options.reads + 0.05:
                await look(client, tally)
            else:
                leave = rng.randint(1, 8) if rng.random() < options.disconnects else 0
                if len(history) >= 2 * options.turns:
                    history.clear()
                await chat(client, tally, rng, options, history, leave)
        except Broken as error:
            tally.broken[str(error)] += 1
            client.close()
            history.clear()
            await asyncio.sleep(0.2)
    client.close()


def resident(pid):
    """Bytes, or None where the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmRSS")), None)


async def watch(pid, seen, end):
    while time.monotonic() < end and pid:
        seen.append(resident(pid))
        await asyncio.sleep(1)


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))] if values else None


def summary(options, tally, memory, seconds):
    def spread(values):
        return {"n": len(values), "p50_ms": values and 1000 * quantile(values, 0.5), "p99_ms": values and 1000 * quantile(values, 0.99)}

    out = {
        "connections": options.connections, "seconds": round(seconds, 1), "chats": tally.chats, "left_amid": tally.left,
        "pieces_a_second": tally.tokens / seconds, "characters_read": tally.characters_read,
        "statuses": {f"{what} {status}": n for (what, status), n in sorted(tally.statuses.items())},
        "first_token": spread(tally.first), "between_tokens": spread(tally.between), "errors": dict(tally.broken.most_common(50)),
    }
    if memory:
        alive = [bytes_ for bytes_ in memory if bytes_ is not None]
        if len(alive) < len(memory):
            out["errors"]["the server's process ended"] = 1
        if alive:
            # Bounded: what the last quarter adds to the one before.
            quarter = max(1, len(alive) // 4)
            out["rss_mb"] = {"first": alive[0] / 1e6, "peak": max(alive) / 1e6, "last": alive[-1] / 1e6,
                             "third_quarter_peak": max(alive[-2 * quarter:-quarter] or alive) / 1e6,
                             "last_quarter_peak": max(alive[-quarter:]) / 1e6}
    return out


def show(out):
    def ms(value):
        return f"{value:.1f} ms" if value or value == 0 else "-"

    print(f"{out['connections']} connections, {out['seconds']} s: {out['chats']} chats whole, {out['left_amid']} left amid, "
          f"{out['pieces_a_second']:.1f} pieces of text a second, {out['characters_read']:,} characters read")
    for name, label in (("first_token", "to the first token"), ("between_tokens", "between tokens")):
        print(f"  {label:18} p50 {ms(out[name]['p50_ms'] if out[name]['n'] else None)}, p99 {ms(out[name]['p99_ms'] if out[name]['n'] else None)}, n {out[name]['n']}")
    for what, n in out["statuses"].items():
        print(f"  {what:28} {n}")
    if "rss_mb" in out:
        print("  memory (MB): " + ", ".join(f"{name.replace('_', ' ')} {value:.0f}" for name, value in out["rss_mb"].items()))
    for what, n in out["errors"].items():
        print(f"  ERROR {n} x {what}")


async def main(options):
    client = Client(options.url, options.key)
    if not options.model:
        try:
            status, fields = await client.request("GET", "/v1/models")
            body = await client.body(fields)
        except (Broken, OSError) as error:
            raise SystemExit(f"serve_load: {options.url}: {error}; is the server running?") from error
        if status != 200:
            raise SystemExit(f"serve_load: GET /v1/models says {status}: {body[:200]!r}; give the key with --key")
        options.model = json.loads(body)["data"][0]["id"]
    client.close()
    tally, memory = Tally(), []
    began = time.monotonic()
    end = began + options.seconds
    await asyncio.gather(watch(options.pid, memory, end), *(one(i, options, tally, end) for i in range(options.connections)))
    out = summary(options, tally, memory, time.monotonic() - began)
    show(out)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(out, indent=1) + "\n")
    return 1 if out["errors"] else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--pid", type=int, default=0, help="the server's, for its memory")
    parser.add_argument("--key", default="", help="an API key")
    parser.add_argument("--model", default="", help="default: the first that the server names")
    parser.add_argument("--tokens", type=int, default=24, help="of an answer")
    parser.add_argument("--turns", type=int, default=4, help="of a conversation")
    parser.add_argument("--reads", type=float, default=0.05, help="share of requests that read a text")
    parser.add_argument("--read-words", type=int, default=600)
    parser.add_argument("--disconnects", type=float, default=0.1, help="share of chats left amid")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", default="", help="a file for all figures")
    sys.exit(asyncio.run(main(parser.parse_args())))
