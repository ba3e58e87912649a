#!/usr/bin/env bash
# openai-python 3.57.0: `client.responses.stream(...)` cannot end in the documented state "incomplete". A stream that the
# API cuts (max_output_tokens, content filter) ends with the event response.incomplete in place of response.completed, as
# the API's reference says. The helper yields that event, but get_final_response() then raises RuntimeError, as if the
# stream had broken off: the text that was written is lost to whoever asks for the final response in the usual way.
# responses.create(stream=True) and responses.create() of the same answer return it with its reason.
# A good engineer who serves this API ends a cut stream as documented, and finds that the official client's helper takes
# the ending for none; those who end it with response.completed instead (some servers do) lose the reason.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q openai==3.57.0
cd "$work" && venv/bin/python - <<'PY'
import http.server, json, threading
import openai


def response(status, text=None):
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": [part]}
    return {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status, "output": [] if text is None else [message],
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None, "error": None, "instructions": None,
            "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0}


def events(last):
    item = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    yield {"type": "response.created", "response": response("in_progress")}
    yield {"type": "response.output_item.added", "output_index": 0, "item": {**response(last, "")["output"][0], "status": "in_progress", "content": []}}
    yield {"type": "response.content_part.added", **item, "part": {"type": "output_text", "text": "", "annotations": [], "logprobs": []}}
    yield {"type": "response.output_text.delta", **item, "delta": "Once", "logprobs": []}
    yield {"type": "response.output_text.done", **item, "text": "Once", "logprobs": []}
    yield {"type": "response.content_part.done", **item, "part": response(last, "Once")["output"][0]["content"][0]}
    yield {"type": "response.output_item.done", "output_index": 0, "item": response(last, "Once")["output"][0]}
    yield {"type": f"response.{last}", "response": response(last, "Once")}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last = asked["input"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if asked.get("stream") else "application/json")
        self.end_headers()
        if not asked.get("stream"):
            self.wfile.write(json.dumps(response(last, "Once")).encode())
            return
        for number, event in enumerate(events(last)):
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n".encode())

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none", max_retries=0)


def helper(last):
    with client.responses.stream(model="m", input=last) as stream:
        seen = [event.type for event in stream]
        try:
            return seen[-1], stream.get_final_response().output_text
        except RuntimeError as error:
            return seen[-1], f"RuntimeError: {error}"


print("openai", openai.__version__)
whole = client.responses.create(model="m", input="incomplete")
print("create():", whole.status, whole.incomplete_details.reason, repr(whole.output_text))
ends = {last: helper(last) for last in ("completed", "incomplete")}
for last, end in ends.items():
    print(f"stream() that ends as {last}: last event {end[0]}, get_final_response() -> {end[1]!r}")
expected = (ends["completed"] == ("response.completed", "Once") and ends["incomplete"][0] == "response.incomplete"
            and ends["incomplete"][1].startswith("RuntimeError") and whole.output_text == "Once")
raise SystemExit(0 if expected else 1)
PY
