#!/usr/bin/env python3
"""Many chats at once to a running `ingrain serve`: when each gets its first text, and the processor time that the server took until then.

    python3 bench/serve_first_tokens.py http://127.0.0.1:8080 --pid PID [--streams 64] [--instructions 100] [--words 40] [--tokens 24]

Every stream has a question of its own, of `words` words give or take half, after `instructions` words that all share (0: none). Processor
time does not depend on who else uses the machine; serve with OMP_NUM_THREADS=1, since threads that wait awake count, too. Nothing but
Python's own library.
"""
import argparse
import asyncio
import json
import os
import pathlib
import random
import time

from serve_load import WORDS, Client, Tally, events, quantile, resident


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def first_text(options, body, began):
    """Seconds and processor seconds to the first text (None: there was none); tokens of the prompt, and those that were known."""
    client, first, usage = Client(options.url, options.key), None, {}
    status, fields = await client.request("POST", "/v1/chat/completions", body)
    if not Tally().reply("chat", status, fields, b""):
        raise SystemExit(f"serve_first_tokens: status {status}: {await client.body(fields)}")
    async for data in events(client, fields):
        chunk = {} if data == "[DONE]" else json.loads(data)
        usage = chunk.get("usage") or usage
        if first is None and any(choice["delta"].get("content") for choice in chunk.get("choices", [])):
            first = time.perf_counter() - began[0], processor_seconds(options.pid) - began[1]
    client.close()
    return (*(first or (None, None)), usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"])


def bodies(options):
    rng = random.Random(options.seed)

    def prose(words):
        return " ".join(rng.choice(WORDS) for _ in range(words))

    system = [{"role": "system", "content": prose(options.instructions)}] if options.instructions else []
    for i in range(options.streams):
        question = prose(rng.randint(options.words // 2, options.words * 3 // 2)) + f" {i}?"
        yield {"model": options.model, "messages": [*system, {"role": "user", "content": question}], "stream": True, "temperature": 0,
               "stream_options": {"include_usage": True}, "max_tokens": options.tokens}


async def main(options):
    began = time.perf_counter(), processor_seconds(options.pid)
    out = await asyncio.gather(*(first_text(options, body, began) for body in bodies(options)))
    wall, processor = ([row[i] for row in out if row[i] is not None] for i in range(2))  # without answers of no text
    print(f"{options.streams} streams, {sum(row[2] for row in out)} tokens of prompts, {sum(row[3] for row in out)} of them known")
    for name, values in (("seconds", wall), ("processor seconds", processor)):
        print(f"  to the first text, {name:18} p50 {quantile(values, 0.5):.2f}, last {max(values):.2f}")
    print(f"  processor seconds in all {processor_seconds(options.pid) - began[1]:.2f}; the server's memory {resident(options.pid) / 1e6:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--pid", type=int, required=True, help="the server's")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--instructions", type=int, default=0, help="words that all share")
    parser.add_argument("--words", type=int, default=150, help="of a question, about")
    parser.add_argument("--tokens", type=int, default=24, help="of an answer")
    parser.add_argument("--model", default="reader-17m")
    parser.add_argument("--key", default="", help="an API key")
    parser.add_argument("--seed", type=int, default=1, help="other texts")
    asyncio.run(main(parser.parse_args()))
