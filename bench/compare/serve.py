"""ingrain serve beside llama.cpp's server (PyPI's xllamacpp), on the same base weights, in one run.

    python bench/compare/serve.py PROGRAM MODEL FILE.gguf [--streams 1,4,16,64] [--tokens 64] [--threads 2] [--rounds 2] [--context 0]

MODEL: a model folder for ours, served with --weights q4_1; FILE.gguf: the same weights for llama.cpp, as many slots as there
are streams. Both write greedily, through their /v1/chat/completions, streamed; every stream has a conversation of its own.
Then the two things that a memory is for: two conversations in turns, and going on after a pause. Needs, in the Python that runs
it, xllamacpp==2026.10.11549.
"""
import argparse
import http.client
import json
import multiprocessing
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SYSTEM = "You are a patient teacher. You answer in whole sentences, with one example, and you say so when you do not know."
WORDS = ("the river kept its own account of what the village had forgotten and every spring it read the pages back to "
         "anyone who stood long enough on the wooden bridge to listen for a name").split()
QUESTIONS = ["Why is the sky blue?", "How does a sail pull a boat against the wind?", "What is a prime number?", "Who wrote Emma?"]


def llama_server(gguf, slots, threads, context, pipe):
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path = gguf
    p.n_parallel = slots
    p.n_ctx = context
    p.cpuparams.n_threads = threads
    p.port = 0
    p.warmup = True
    p.verbosity = 0
    server = xllamacpp.Server(p)
    pipe.send(server.listening_address)
    pipe.recv()


def started(command):
    """The process of our server, and its HOST:PORT once it listens."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    said = []
    for line in process.stderr:
        if "http://" in line:
            break
        said.append(line)
    else:
        raise SystemExit("".join(said) + f"{command[0]} ended before it listened")
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process, line.split("http://")[1].split()[0].rstrip("/.,;")


class Llama:
    name = "llama.cpp"

    def __init__(self, o, slots, context):
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=llama_server, args=(o.gguf, slots, o.threads, context, other), daemon=True)
        self.process.start()
        self.host = self.pipe.recv().removeprefix("http://")

    def close(self):
        self.process.terminate()
        self.process.join()


class Ingrain:
    name = "ingrain"

    def __init__(self, o, slots, context):
        self.folder = tempfile.TemporaryDirectory()
        command = [o.program, "serve", o.model, "--port", "0", "--weights", "q4_1", "--store", self.folder.name]
        self.process, self.host = started(command)

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


NEVER = {}  # tokens that are not written


def chat(host, messages, tokens, stream=True):
    """Seconds to the first token and to the last, tokens written, and the whole reply's usage and text."""
    connection = http.client.HTTPConnection(host, timeout=600)
    body = {"messages": messages, "max_tokens": tokens, "temperature": 0, "stream": stream}
    if NEVER:
        body["logit_bias"] = NEVER
    if stream:
        body["stream_options"] = {"include_usage": True}
    start = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    if reply.status != 200:
        sys.exit(f"{host}: {reply.status} {reply.read().decode()}")
    first, text, usage = None, "", {}
    for line in reply:
        if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
            continue
        event = json.loads(line[6:])
        usage = event.get("usage") or usage
        for choice in event.get("choices", []):
            piece = choice["delta"].get("content")
            if piece:
                first = first or time.perf_counter() - start
                text += piece
    return {"first": first, "all": time.perf_counter() - start, "text": text, "usage": usage}


def begun(server, stream, context):
    """A conversation in which a text of about so many tokens was read already."""
    messages = [{"role": "system", "content": SYSTEM}]
    if context:
        rng = random.Random(stream)
        messages.append({"role": "user", "content": " ".join(rng.choice(WORDS) for _ in range(context)) + " What is this about?"})
        messages.append({"role": "assistant", "content": chat(server.host, messages, 1)["text"]})
    return messages


def streams(server, count, tokens, context=0):
    replies = [None] * count
    conversations = [begun(server, i, context) for i in range(count)]

    def one(i):
        question = f"{QUESTIONS[i % len(QUESTIONS)]} ({i})"
        replies[i] = chat(server.host, [*conversations[i], {"role": "user", "content": question}], tokens)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    start = time.perf_counter()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seconds = time.perf_counter() - start
    written = sum(r["usage"]["completion_tokens"] for r in replies)
    return written / seconds, statistics.median(r["first"] or r["all"] for r in replies)


def talk(server, turns, tokens):
    """Two conversations with the same instructions, in turns: tokens of the prompt, those of them not read again, first token."""
    conversations = [[{"role": "system", "content": SYSTEM}] for _ in range(2)]
    rows = []
    for turn in range(turns):
        for i, messages in enumerate(conversations):
            messages.append({"role": "user", "content": QUESTIONS[(turn + 2 * i) % len(QUESTIONS)] + f" (part {turn + 1})"})
            reply = chat(server.host, messages, tokens)
            messages.append({"role": "assistant", "content": reply["text"]})
            usage = reply["usage"]
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
            rows.append((usage["prompt_tokens"], cached, reply["first"] or reply["all"]))
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("model")
    p.add_argument("gguf")
    p.add_argument("--streams", default="1,4,16,64")
    p.add_argument("--tokens", type=int, default=64)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--turns", type=int, default=6)
    p.add_argument("--never", default="", help="ids that are not written: those that end an answer, so that all are of one length")
    p.add_argument("--context", type=int, default=0, help="words that each stream has read before it is timed")
    o = p.parse_args()
    if not pathlib.Path(o.gguf).is_file():
        sys.exit(f"{o.gguf}: there is no such file")
    NEVER.update((token, -100) for token in o.never.split(",") if token)
    counts = [int(x) for x in o.streams.split(",")]
    kinds = (Llama, Ingrain)

    print("| streams | | tokens/s | first token, median ms | of llama.cpp |\n| --- | --- | --- | --- | --- |")
    for count in counts:
        seen = {kind.name: [] for kind in kinds}
        for r in range(o.rounds):
            for kind in kinds if r % 2 == 0 else kinds[::-1]:
                server = kind(o, count, count * (1024 + 2 * o.context))
                try:
                    streams(server, min(count, 2), 8)  # warms up
                    seen[kind.name].append(streams(server, count, o.tokens, o.context))
                finally:
                    server.close()
        rates = {name: statistics.median(x[0] for x in rows) for name, rows in seen.items()}
        for name, rows in seen.items():
            first = 1e3 * statistics.median(x[1] for x in rows)
            ratio = "" if name == Llama.name else f"{rates[name] / rates[Llama.name]:.2f}"
            print(f"| {count} | {name} | {rates[name]:.1f} | {first:.0f} | {ratio} |", flush=True)

    if o.turns == 0:
        return
    print("\n| two conversations in turns | prompt tokens | not read again | first token, ms |\n| --- | --- | --- | --- |")
    for kind in kinds:
        server = kind(o, 2, 8192)
        try:
            rows = talk(server, o.turns, o.tokens)
        finally:
            server.close()
        for i, (prompt, cached, first) in enumerate(rows):
            print(f"| {kind.name}, turn {i // 2 + 1}{'ab'[i % 2]} | {prompt} | {cached} | {1e3 * first:.0f} |", flush=True)


if __name__ == "__main__":
    main()
