"""Going on with a long conversation after the server was restarted: ingrain serve beside llama.cpp's server (PyPI's xllamacpp).

    python bench/compare/restore.py PROGRAM MODEL [FILE.gguf] [--weights q4_1] [--lengths 1000,10000,100000]
        [--llama-lengths 1000,10000] [--rounds 3] [--threads 2]

Each reads a text of so many tokens and writes one; then its process ends and another begins, which has answered something
else before it is asked to go on with a short question. Milliseconds are those of the client, from the request to the
whole reply of one token: ours by previous_response_id, and to the stream's first event, which comes when the memory is
there; llama.cpp's by reading it all again, and by restoring the slot's file (both requests). Needs, in the Python that runs it, xllamacpp==2026.10.11549, if there is a FILE.gguf.
"""
import argparse
import http.client
import json
import multiprocessing
import pathlib
import random
import statistics
import tempfile
import time

from serve import WORDS, started


def ask(host, method, path, body=None):
    """The reply, and milliseconds."""
    connection = http.client.HTTPConnection(host, timeout=7200)
    start = time.perf_counter()
    connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    data = reply.read()
    milliseconds = 1000 * (time.perf_counter() - start)
    connection.close()
    if reply.status not in (200, 201):
        raise SystemExit(f"{path}: {reply.status} {data[:300]!r}")
    return json.loads(data), milliseconds


def stream(host, body):
    """The response at its end, milliseconds to the stream's first event, and to the whole."""
    connection = http.client.HTTPConnection(host, timeout=7200)
    start = time.perf_counter()
    connection.request("POST", "/v1/responses", json.dumps({**body, "stream": True}), {"Content-Type": "application/json"})
    first, response = None, None
    for line in connection.getresponse():
        if line.startswith(b"data:"):
            first = first or 1000 * (time.perf_counter() - start)
            response = json.loads(line[5:]).get("response", response)
    return response, first, 1000 * (time.perf_counter() - start)


def text_of(host, tokens, field):
    """Words of about so many tokens, as this server counts them."""
    rng = random.Random(tokens)
    words = [rng.choice(WORDS) for _ in range(tokens)]
    count = len(ask(host, "POST", "/tokenize", {"content": " ".join(words)})[0][field])
    return " ".join(words[:tokens * tokens // count])


class Ingrain:
    def __init__(self, o, folder):
        command = [o.program, "serve", o.model, "--port", "0", "--store", folder, *(["--weights", o.weights] if o.weights else [])]
        self.process, self.host = started(command)
        self.go_on("Hello.")

    def go_on(self, text, before=None):
        body = {"input": text, "max_output_tokens": 1, "temperature": 0}
        return stream(self.host, {**body, "previous_response_id": before} if before else body)

    def close(self):
        self.process.terminate()
        self.process.wait()


def ours(o, tokens):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        server = Ingrain(o, folder)
        reply, _, reading = server.go_on(text_of(server.host, tokens, "tokens"))
        known, before = reply["usage"]["input_tokens"], reply["id"]
        server.close()
        kept = max(f.stat().st_size for f in pathlib.Path(folder, "states").iterdir())
        for _ in range(o.rounds):
            server = Ingrain(o, folder)
            reply, first, milliseconds = server.go_on("And then?", before)
            usage = reply["usage"]
            rows.append((milliseconds, usage["input_tokens"] - usage["input_tokens_details"]["cached_tokens"], first))
            server.close()
    return {"tokens": known, "reading": reading, "again": statistics.median(r[0] for r in rows), "read": rows[0][1], "bytes": kept,
            "first": statistics.median(r[2] for r in rows)}


def llama_server(gguf, threads, context, folder, pipe):
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path = gguf
    p.n_parallel = 1
    p.n_ctx = context
    p.cpuparams.n_threads = threads
    p.slot_save_path = folder + "/"
    p.endpoint_slots = True
    p.port = 0
    p.verbosity = 0
    server = xllamacpp.Server(p)
    pipe.send(server.listening_address)
    pipe.recv()


class Llama:
    def __init__(self, o, context, folder):
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=llama_server, args=(o.gguf, o.threads, context, folder, other), daemon=True)
        self.process.start()
        self.host = self.pipe.recv().removeprefix("http://")
        self.go_on("Hello.")

    def go_on(self, text):
        return ask(self.host, "POST", "/completion", {"prompt": text, "n_predict": 1, "temperature": 0, "cache_prompt": True})

    def close(self):
        self.process.terminate()
        self.process.join()


def theirs(o, tokens):
    reread, restored = [], []
    with tempfile.TemporaryDirectory() as folder:
        context = tokens + 512
        server = Llama(o, context, folder)
        text = text_of(server.host, tokens, "tokens")
        reply, reading = server.go_on(text)
        known = reply["timings"]["prompt_n"]
        ask(server.host, "POST", "/slots/0?action=save", {"filename": "slot"})
        server.close()
        kept = pathlib.Path(folder, "slot").stat().st_size
        for _ in range(o.rounds):
            server = Llama(o, context, folder)
            load = ask(server.host, "POST", "/slots/0?action=restore", {"filename": "slot"})[1]
            reply, milliseconds = server.go_on(text + " And then?")
            restored.append((load + milliseconds, reply["timings"]["prompt_n"]))
            server.close()
        server = Llama(o, context, folder)
        reply, milliseconds = server.go_on(text + " And then?")
        reread.append((milliseconds, reply["timings"]["prompt_n"]))
        server.close()
    return {"tokens": known, "reading": reading, "again": reread[0][0], "read": reread[0][1],
            "restored": statistics.median(r[0] for r in restored), "restored_read": restored[0][1], "bytes": kept}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("model")
    p.add_argument("gguf", nargs="?")
    p.add_argument("--weights", default="", help="ours, for example q4_1")
    p.add_argument("--lengths", default="1000,10000,100000")
    p.add_argument("--llama-lengths", default="1000,10000")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    o = p.parse_args()
    numbers = lambda text: [int(x) for x in text.split(",") if x]
    print("| server | tokens known | first event after a restart, ms | whole reply | tokens read for it | file, MB |\n"
          "| --- | --- | --- | --- | --- | --- |")
    for tokens in numbers(o.lengths):
        x = ours(o, tokens)
        print(f"| ingrain | {x['tokens']:,} | {x['first']:.1f} | {x['again']:.0f} | {x['read']} | {x['bytes'] / 1e6:.1f} |", flush=True)
    for tokens in numbers(o.llama_lengths) if o.gguf else []:
        x = theirs(o, tokens)
        print(f"| llama.cpp, slot file | {x['tokens']:,} | | {x['restored']:.0f} | {x['restored_read']} | {x['bytes'] / 1e6:.1f} |", flush=True)
        print(f"| llama.cpp, read again | {x['tokens']:,} | | {x['again']:.0f} | {x['read']} | |", flush=True)


if __name__ == "__main__":
    main()
