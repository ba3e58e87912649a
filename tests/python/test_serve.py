"""Every endpoint of the real server, by plain HTTP, with the embedded model."""
import contextlib
import json
import re
import signal
import socket
import sqlite3

import pytest
from serving import ROOT, Server

KEYS = "anna:sk-anna-0123456789\nben:sk-ben-01234567890\n"
ANNA = {"Authorization": "Bearer sk-anna-0123456789"}
BEN = {"x-api-key": "sk-ben-01234567890"}
CERTAIN = {"temperature": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("serve") / "store", "--log", tmp_path_factory.mktemp("log") / "log") as running:
        yield running


def refusal(server, method, path, body=None, headers=None):
    status, _, reply = server.request(method, path, body, headers)
    return status, reply["error"]


def test_what_is_there(server):
    assert server.request("GET", "/health")[2] == {"status": "ok"}
    models = server.request("GET", "/v1/models")[2]["data"]
    assert [m["id"] for m in models] == ["reader-17m"]
    assert server.request("GET", "/v1/models/reader-17m")[2]["object"] == "model"
    assert refusal(server, "GET", "/v1/models/gpt-5")[1]["code"] == "model_not_found"
    assert refusal(server, "GET", "/v2/none")[0] == 404
    status, headers, _ = server.request("GET", "/v1/responses")
    assert status == 405 and headers["Allow"] == "POST"
    assert refusal(server, "GET", "/v1/responses")[1]["param"] is None
    assert refusal(server, "POST", "/tokenize", {"content": "x", "model": "gpt-5"})[1]["code"] == "model_not_found"
    tokens = server.post("/tokenize", {"content": "Emma Woodhouse"})["tokens"]
    assert server.post("/detokenize", {"tokens": tokens})["content"] == "Emma Woodhouse"
    for path, body, param in (("/detokenize", {"tokens": [99999]}, "tokens"),
                              ("/v1/completions", {"prompt": [99999], "max_tokens": 1}, "prompt"),
                              ("/v1/responses", {"input": "x", "max_output_tokens": 1, "logit_bias": {"99999": 1}}, "logit_bias")):
        status, error = refusal(server, "POST", path, body)
        assert (status, error["param"]) == (400, param) and "99999" in error["message"]


def test_the_openapi_document_names_every_route(server):
    table = (ROOT / "src" / "serve" / "routes" / "table.cpp").read_text()
    routes = {(method.lower(), path) for method, path in re.findall(r'\{"([A-Z]+)", "([^"]+)"', table)}
    paths = server.request("GET", "/openapi.json")[2]["paths"]
    assert routes == {(method, path) for path, methods in paths.items() for method in methods}


def test_a_response_goes_on_from_the_one_before_and_reads_only_what_is_new(server):
    first = server.post("/v1/responses", {"input": "Who is Emma?", "max_output_tokens": 8, **CERTAIN})
    assert first["status"] in ("completed", "incomplete") and first["output"][0]["content"][0]["type"] == "output_text"
    second = server.post("/v1/responses", {"input": "And her father?", "previous_response_id": first["id"],
                                           "max_output_tokens": 4, **CERTAIN})
    usage = second["usage"]
    assert usage["input_tokens_details"]["cached_tokens"] >= first["usage"]["input_tokens"]
    assert usage["input_tokens"] - usage["input_tokens_details"]["cached_tokens"] < 20
    fork = server.post("/v1/responses", {"input": "And her father?", "previous_response_id": first["id"],
                                         "max_output_tokens": 4, **CERTAIN})
    assert fork["output"][0]["content"][0]["text"] == second["output"][0]["content"][0]["text"]
    assert server.request("GET", f"/v1/responses/{first['id']}")[2] == first
    items = server.request("GET", f"/v1/responses/{second['id']}/input_items")[2]
    assert items["data"][0]["content"][0]["text"] == "And her father?" and not items["has_more"]
    assert server.request("DELETE", f"/v1/responses/{first['id']}")[2]["deleted"]
    assert refusal(server, "GET", f"/v1/responses/{first['id']}")[0] == 404
    status, error = refusal(server, "POST", "/v1/responses", {"input": "x", "previous_response_id": second["id"]})
    assert status == 404 and error["param"] == "previous_response_id"


@pytest.mark.parametrize("length", [1, 3, 9])
def test_whatever_was_written_the_next_turn_reads_the_new_tokens_only(server, length):
    """This model has no chat template, and writes what it likes: no blank after "Answer:", half a line, its end at once."""
    form = len(server.post("/tokenize", {"content": "\n\nQuestion: And her father?\nAnswer:"})["tokens"])
    beginnings = set()
    for seed in range(16 if length == 1 else 8):
        ask = {"max_output_tokens": length, "seed": seed}
        first = server.post("/v1/responses", {"input": f"Who is Emma {seed}, {length}?", **ask})
        second = server.post("/v1/responses", {"input": "And her father?", "previous_response_id": first["id"], **ask})
        chat = [{"role": "user", "content": f"Who is Harriet {seed}, {length}?"}]
        ask = {"max_tokens": length, "seed": seed}
        one = server.post("/v1/chat/completions", {"messages": chat, **ask})
        answer = one["choices"][0]["message"]
        chat += [answer, {"role": "user", "content": "And her father?"}]
        two = server.post("/v1/chat/completions", {"messages": chat, **ask})
        beginnings.add(answer["content"][:1])
        for before, after, read, cached, wrote, stopped in (
                (first, second, "input_tokens", "input_tokens_details", "output_tokens", first["status"] == "completed"),
                (one, two, "prompt_tokens", "prompt_tokens_details", "completion_tokens", one["choices"][0]["finish_reason"] == "stop")):
            known = after["usage"][cached]["cached_tokens"]
            assert known == before["ingrain"]["position"], (seed, before, after)
            # What ends an answer by itself is written, and not kept: a token, or the few that spell a blank line or "Question:".
            unread = before["usage"][read] + before["usage"][wrote] - known
            assert 1 <= unread <= 4 if stopped else unread == 0, (seed, before)
            assert after["usage"][read] - known in (form - 1, form, form + 1), (seed, before, after)
    assert len(beginnings) > 1 or length > 3


def test_the_token_that_a_bias_forces_is_among_the_legacy_top(server):
    token = server.post("/tokenize", {"content": " zoo"})["tokens"][0]
    scores = server.post("/v1/completions", {"prompt": "Once upon a", "max_tokens": 1, "logprobs": 2,
                                             "logit_bias": {str(token): 100}})["choices"][0]["logprobs"]
    assert len(scores["top_logprobs"][0]) == 3 and scores["top_logprobs"][0][scores["tokens"][0]] == scores["token_logprobs"][0]


def test_a_stream_of_a_response_is_the_response(server):
    ask = {"input": "Who is Emma?", "max_output_tokens": 6, "stream": True, **CERTAIN}
    events = list(server.events("/v1/responses", ask))
    names = [name for name, _ in events]
    assert names[:4] == ["response.created", "response.in_progress", "response.output_item.added",
                         "response.content_part.added"]
    assert names[-4:-1] == ["response.output_text.done", "response.content_part.done", "response.output_item.done"]
    assert all(data["type"] == name for name, data in events)
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    final = events[-1][1]["response"]
    text = "".join(data["delta"] for name, data in events if name == "response.output_text.delta")
    assert text == final["output"][0]["content"][0]["text"]
    assert names[-1] == "response." + final["status"]
    assert server.request("GET", f"/v1/responses/{final['id']}")[2] == final


def test_what_is_not_stored_is_not_there(server):
    reply = server.post("/v1/responses", {"input": "Hello.", "store": False, "max_output_tokens": 2})
    assert refusal(server, "GET", f"/v1/responses/{reply['id']}")[0] == 404


def test_a_limit_makes_a_response_incomplete(server):
    reply = server.post("/v1/responses", {"input": "Tell me a long story.", "max_output_tokens": 1, **CERTAIN})
    assert reply["status"] == "incomplete" and reply["incomplete_details"] == {"reason": "max_output_tokens"}


def test_conversations_keep_what_was_said(server):
    conversation = server.post("/v1/conversations", {"metadata": {"a": "b"}, "items": [
        {"type": "message", "role": "system", "content": "Be brief."}]})
    path = f"/v1/conversations/{conversation['id']}"
    reply = server.post("/v1/responses", {"input": "Who is Emma?", "conversation": conversation["id"],
                                          "max_output_tokens": 4, **CERTAIN})
    assert reply["conversation"] == {"id": conversation["id"]}
    again = server.post("/v1/responses", {"input": "Who else?", "conversation": {"id": conversation["id"]},
                                          "max_output_tokens": 4, **CERTAIN})
    assert again["usage"]["input_tokens_details"]["cached_tokens"] >= reply["usage"]["input_tokens"]
    items = server.request("GET", path + "/items?order=asc&limit=3")[2]
    assert [item["role"] for item in items["data"]] == ["system", "user", "assistant"] and items["has_more"]
    rest = server.request("GET", f"{path}/items?order=asc&after={items['last_id']}")[2]
    assert [item["role"] for item in rest["data"]] == ["user", "assistant"] and not rest["has_more"]
    item = items["data"][1]["id"]
    assert server.request("GET", f"{path}/items/{item}")[2]["content"][0]["text"] == "Who is Emma?"
    assert server.post(path, {"metadata": {"c": "d"}})["metadata"] == {"c": "d"}
    assert server.request("DELETE", f"{path}/items/{item}")[2]["object"] == "conversation"
    assert refusal(server, "GET", f"{path}/items/{item}")[0] == 404
    assert server.request("DELETE", path)[2]["deleted"]
    assert refusal(server, "GET", path)[0] == 404


def test_chat_counts_every_choice_and_scores_every_token(server):
    messages = [{"role": "user", "content": "Who is Emma?"}]
    reply = server.post("/v1/chat/completions", {"messages": messages, "max_tokens": 5, "n": 2, "seed": 1,
                                                 "logprobs": True, "top_logprobs": 2})
    assert len(reply["choices"]) == 2
    for choice in reply["choices"]:
        scores = choice["logprobs"]["content"]
        assert scores and all(len(s["top_logprobs"]) == 2 and s["logprob"] <= 0 for s in scores)
        assert bytes(b for s in scores for b in s["bytes"]).decode(errors="replace").startswith(choice["message"]["content"])
    assert reply["usage"]["total_tokens"] == reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"]
    none = server.post("/v1/chat/completions", {"messages": messages, "max_tokens": 0})
    assert none["usage"]["completion_tokens"] == 0 and none["choices"][0]["message"]["content"] == ""


def test_json_is_json(server):
    schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "maximum": 99, "minimum": 0}},
              "required": ["name", "age"], "additionalProperties": False}
    reply = server.post("/v1/chat/completions", {
        "messages": [{"role": "user", "content": "Describe Emma."}], "max_tokens": 60, "seed": 3,
        "response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}})
    assert reply["choices"][0]["finish_reason"] == "stop"
    person = json.loads(reply["choices"][0]["message"]["content"])
    assert set(person) == {"name", "age"} and 0 <= person["age"] <= 99
    status, error = refusal(server, "POST", "/v1/chat/completions", {
        "messages": [{"role": "user", "content": "x"}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "string", "pattern": "a+"}}}})
    assert status == 400 and "pattern" in error["message"]


def test_what_an_answers_form_is_for_is_read_and_no_part_of_the_conversation(server):
    form = {"type": "json_schema", "name": "person", "schema": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 4}},
                                                                "required": ["name"], "additionalProperties": False}}
    described = {**form, "description": "Somebody whom Emma knows well"}
    ask = {"input": "Describe somebody.", "max_output_tokens": 40, "seed": 2}
    plain = server.post("/v1/responses", {**ask, "text": {"format": form}})
    told = server.post("/v1/responses", {**ask, "text": {"format": described}})
    assert told["usage"]["input_tokens"] > plain["usage"]["input_tokens"]
    after = server.post("/v1/responses", {"input": "And who else?", "max_output_tokens": 1, "previous_response_id": told["id"]})
    assert after["usage"]["input_tokens_details"]["cached_tokens"] == told["ingrain"]["position"]
    nested = {"type": "json_schema", "json_schema": {k: v for k, v in described.items() if k != "type"}}
    status, error = refusal(server, "POST", "/v1/completions", {"prompt": "x", "response_format": nested})
    assert status == 400 and error["param"] == "response_format.json_schema.description"


def test_completions_take_texts_and_tokens(server):
    tokens = server.post("/tokenize", {"content": "Emma Woodhouse, handsome"})["tokens"]
    ask = {"max_tokens": 4, **CERTAIN}
    both = server.post("/v1/completions", {"prompt": ["Emma Woodhouse, handsome", "Once upon"], "logprobs": 1, **ask})
    assert [choice["index"] for choice in both["choices"]] == [0, 1]
    assert len(both["choices"][0]["logprobs"]["tokens"]) == 4
    assert server.post("/v1/completions", {"prompt": tokens, **ask})["object"] == "text_completion"
    events = list(server.events("/v1/completions", {"prompt": "Once upon", "stream": True, **ask}))
    assert events[-1][1] == "[DONE]"
    assert "".join(e["choices"][0]["text"] for _, e in events[:-1]) == both["choices"][1]["text"]


def test_messages_are_anthropics(server):
    ask = {"messages": [{"role": "user", "content": "Who is Emma?"}], "max_tokens": 4, **CERTAIN}
    whole = server.post("/v1/messages", ask)
    assert whole["type"] == "message" and whole["content"][0]["type"] == "text"
    events = list(server.events("/v1/messages", {**ask, "stream": True}))
    assert [name for name, _ in events][:3] == ["message_start", "ping", "content_block_start"]
    assert [name for name, _ in events][-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert "".join(d["delta"]["text"] for n, d in events if n == "content_block_delta") == whole["content"][0]["text"]
    del ask["max_tokens"], ask["temperature"]
    count = server.post("/v1/messages/count_tokens", ask)["input_tokens"]
    assert count == whole["usage"]["input_tokens"] + whole["usage"]["cache_read_input_tokens"]
    status, _, error = server.request("POST", "/v1/messages", {"messages": []})
    assert status == 400 and error["type"] == "error" and error["error"]["type"] == "invalid_request_error"


def form(**parts):
    lines = []
    for name, value in parts.items():
        filename = f'; filename="{name}.txt"' if name == "file" else ""
        lines += [f'--B\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n{value}\r\n']
    return ("".join(lines) + "--B--\r\n").encode(), {"Content-Type": "multipart/form-data; boundary=B"}


def test_memories_are_read_forked_carried_off_and_brought_back(server):
    text = "The captain of the Gannet is Ilse Brandt. " + "The sea was calm that day, and nothing was said. " * 30
    body, headers = form(name="gannet", file=text)
    memory = server.request("POST", "/v1/memories", body, headers)[2]
    assert memory["object"] == "memory" and memory["tokens"] > 100 and memory["sources"] == ["file.txt"]
    assert refusal(server, "POST", "/v1/memories", {"name": "gannet", "text": "x"})[0] == 409
    more = server.post("/v1/memories/gannet/read", {"text": "Then it rained."})
    assert more["tokens"] > memory["tokens"] and more["id"] == memory["id"]
    fork = server.post("/v1/memories/gannet/fork", {"name": "copy"})
    assert fork["parent"] == memory["id"] and fork["tokens"] == more["tokens"]
    assert server.post(f"/v1/memories/{fork['id']}", {"name": "other"})["name"] == "other"
    assert [m["name"] for m in server.request("GET", "/v1/memories")[2]["data"]] == ["gannet", "other"]

    ask = {"messages": [{"role": "user", "content": "Who is captain of the Gannet?"}], "max_tokens": 4, "memory": "gannet",
           **CERTAIN}
    noted = server.post("/v1/chat/completions", {**ask, "notepad": {"enabled": True, "passages": 1}})
    assert "Ilse Brandt" in noted["ingrain"]["passages"][0]["text"]
    assert noted["ingrain"]["passages"][0]["source"] == "file.txt"
    plain = server.post("/v1/chat/completions", ask)
    assert plain["ingrain"]["position"] > more["tokens"] and "passages" not in plain["ingrain"]

    status, _, file = server.request("GET", "/v1/memories/gannet/content")
    assert status == 200
    back = b'--B\r\nContent-Disposition: form-data; name="memory"; filename="m"\r\n\r\n' + file + b"\r\n--B--\r\n"
    bare = server.request("POST", "/v1/memories", back, headers)[2]
    assert bare["tokens"] == more["tokens"]
    assert refusal(server, "GET", f"/v1/memories/{bare['id']}/notes")[0] == 404
    # Its notes travel beside it.
    status, _, notes = server.request("GET", "/v1/memories/gannet/notes")
    assert status == 200
    part = b'--B\r\nContent-Disposition: form-data; name="notes"; filename="n"\r\n\r\n' + notes + b"\r\n"
    carried = server.request("POST", "/v1/memories", part + back, headers)[2]
    again = server.post("/v1/chat/completions", {**ask, "memory": carried["id"], "notepad": {"enabled": True, "passages": 1}})
    found, before = again["ingrain"]["passages"][0], noted["ingrain"]["passages"][0]
    assert {**found, "score": 0} == {**before, "score": 0}  # which depends on what else there is
    for bad in (part.replace(notes, b"damaged") + back, part + b"--B--\r\n"):
        assert refusal(server, "POST", "/v1/memories", bad, headers)[1]["param"] == "notes"
    for memory in (bare, carried):
        server.request("DELETE", f"/v1/memories/{memory['id']}")
    status, error = refusal(server, "POST", "/v1/memories", back.replace(file, b"damaged"), headers)
    assert status == 400 and "/" not in error["message"].split(":")[0]
    for name in ("gannet", "other"):
        assert server.request("DELETE", f"/v1/memories/{name}")[2]["deleted"]
    assert refusal(server, "POST", "/v1/chat/completions", ask) == (404, {
        "message": "the memory 'gannet' is not there", "type": "invalid_request_error", "param": "memory", "code": "not_found"})


def passages(store):
    """How many the notepad of callers without a key holds, and of how many sets."""
    with contextlib.closing(sqlite3.connect(store / "notes" / "_.notes")) as notes:
        return tuple(notes.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("passages", "sets"))


def test_notes_go_with_the_conversation_response_or_memory_that_they_are_of(tmp_path):
    with Server(tmp_path) as server:
        ask = {"notepad": {"enabled": True, "passages": 1}, "max_output_tokens": 2, **CERTAIN}

        def turns(more, count=3):
            return [server.post("/v1/responses", {"input": f"My {i}th boat is the Gannet {i}.", **ask, **more}) for i in range(count)]

        conversation = server.post("/v1/conversations", {})["id"]
        turns({"conversation": conversation})
        assert passages(tmp_path) > (2, 1)
        before = passages(tmp_path)
        turns({"instructions": "Be brief.", "store": False}, 2)  # nothing of it is kept
        assert passages(tmp_path) == before
        # The chain of responses that is made of a conversation's turns goes with the first of them.
        first = server.post("/v1/responses", {"input": "My cat is Mortimer.", "instructions": "Be kind.", **ask})
        second = server.post("/v1/responses", {"input": "And my dog is Rex.", "previous_response_id": first["id"], **ask})
        server.post("/v1/responses", {"input": "Who is who?", "previous_response_id": second["id"], **ask})
        assert passages(tmp_path) > before
        server.request("DELETE", f"/v1/responses/{first['id']}")
        assert passages(tmp_path) == before
        server.request("DELETE", f"/v1/conversations/{conversation}")
        assert passages(tmp_path) == (0, 0)
        # What was said with a memory goes with the memory.
        server.post("/v1/memories", {"name": "harbour", "text": "The harbour of Hull has nine cranes."})
        turns({"memory": "harbour"}, 1)
        chat = [{"role": "user", "content": "How many cranes?"}, {"role": "assistant", "content": "Nine."}, {"role": "user", "content": "Where?"}]
        server.post("/v1/chat/completions", {"messages": chat, "memory": "harbour", "notepad": ask["notepad"], "max_tokens": 2, **CERTAIN})
        assert passages(tmp_path) > (1, 1)
        server.request("DELETE", "/v1/memories/harbour")
        assert passages(tmp_path) == (0, 0)


def test_reading_tells_of_its_progress(server):
    events = list(server.events("/v1/memories", {"text": "It was a fine day. " * 300, "stream": True}))
    names = [name for name, _ in events]
    assert names[-1] == "memory.completed" and "memory.reading" in names and "memory.step" in names


def test_refusals_name_the_field(server):
    ask = {"messages": [{"role": "user", "content": "x"}]}
    for more, param in (({"frobnicate": 1}, "frobnicate"), ({"temperature": 3}, "temperature"), ({"n": 99}, "n"),
                        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools")):
        status, error = refusal(server, "POST", "/v1/chat/completions", {**ask, **more})
        assert status == 400 and error["type"] == "invalid_request_error", error
        assert error["param"] == param or more.get("tools"), error
    assert refusal(server, "POST", "/v1/chat/completions", {**ask, "model": "gpt-5"})[1]["code"] == "model_not_found"
    assert refusal(server, "POST", "/v1/responses", b"{")[0] == 400
    assert refusal(server, "POST", "/v1/responses", {"input": "x", "background": True})[1]["param"] == "background"


def test_a_name_that_no_template_shows_is_refused(server):
    status, error = refusal(server, "POST", "/v1/chat/completions", {"messages": [
        {"role": "user", "content": "x"}, {"role": "user", "name": "anna", "content": "x"}]})
    assert (status, error["param"], error["code"]) == (400, "messages[1].name", "unsupported_parameter")


@pytest.mark.parametrize("path, asked", [("responses", {"input": "x"}), ("completions", {"prompt": "x"}),
                                         ("chat/completions", {"messages": [{"role": "user", "content": "x"}]})])
def test_a_bias_for_a_token_that_the_model_does_not_have_is_refused(server, path, asked):
    status, error = refusal(server, "POST", f"/v1/{path}", {**asked, "logit_bias": {"8192": 5}})
    assert status == 400 and "8192" in error["message"] and "0 to 8191" in error["message"]


def test_figures_are_prometheus(server):
    text = server.request("GET", "/metrics")[2].decode()
    assert re.search(r"^ingrain_tokens_read_total [1-9]", text, re.M)
    assert re.search(r'^ingrain_requests_total\{route="/v1/responses/\{id\}",status="200"\} \d', text, re.M)
    assert 'ingrain_first_text_seconds_bucket{le="+Inf"}' in text


def test_each_key_has_its_own(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(KEYS)
    with Server(tmp_path / "store", "--keys", keys, "--rate", 30) as server:
        status, headers, reply = server.request("GET", "/v1/models")
        assert status == 401 and reply["error"]["code"] == "invalid_api_key" and "WWW-Authenticate" in headers
        assert server.request("GET", "/health")[0] == 200
        # The key is asked for before the body is there.
        with socket.create_connection(server.host.split(":"), timeout=60) as stranger:
            stranger.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
            refused = stranger.recv(65536)
            assert refused.startswith(b"HTTP/1.1 401 ") and b'"authentication_error"' in refused
        ask = {"input": "Who is Emma?", "max_output_tokens": 2, **CERTAIN}
        hers = server.post("/v1/responses", ask, headers=ANNA)
        his = server.post("/v1/responses", ask, headers=BEN)
        assert his["usage"]["input_tokens_details"]["cached_tokens"] == 0, "nothing of another's is known"
        assert refusal(server, "GET", f"/v1/responses/{hers['id']}", headers=BEN)[0] == 404
        assert refusal(server, "POST", "/v1/responses", {**ask, "previous_response_id": hers["id"]}, BEN)[0] == 404
        server.post("/v1/memories", {"name": "mine", "text": "Once upon a time."}, headers=ANNA)
        assert server.request("GET", "/v1/memories", headers=BEN)[2]["data"] == []
        while server.request("GET", "/v1/models", headers=BEN)[0] == 200:
            pass
        status, headers, reply = server.request("GET", "/v1/models", headers=BEN)
        assert status == 429 and int(headers["Retry-After"]) >= 1 and reply["error"]["code"] == "rate_limit_exceeded"
        assert server.request("GET", "/v1/models", headers=ANNA)[0] == 200


def test_what_was_said_outlives_the_server_and_the_log_does_not_say_it(tmp_path):
    log = tmp_path / "log"
    with Server(tmp_path / "store", "--log", log) as server:
        first = server.post("/v1/responses", {"input": "Who is Emma?", "max_output_tokens": 4, **CERTAIN})
        assert server.stop(signal.SIGTERM) == 128 + signal.SIGTERM
    with Server(tmp_path / "store", "--log", log) as server:
        second = server.post("/v1/responses", {"input": "And then?", "previous_response_id": first["id"],
                                               "max_output_tokens": 4, **CERTAIN})
    assert second["usage"]["input_tokens_details"]["cached_tokens"] >= first["usage"]["input_tokens"]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["status"] for line in lines] == [200, 200] and lines[1]["cached_tokens"] > 0
    assert "Emma" not in log.read_text()


def test_options_come_from_a_file_and_the_environment(tmp_path):
    config = tmp_path / "serve.toml"
    config.write_text('[serve]\nname = "from-file"\nmax-tokens = 2\nrate = 100\n')
    with Server(tmp_path / "store", "--config", config, environment={"INGRAIN_SERVE_MAX_TOKENS": "3"}) as server:
        assert server.request("GET", "/v1/models")[2]["data"][0]["id"] == "from-file"
        reply = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "A story."}], **CERTAIN})
        assert reply["usage"]["completion_tokens"] <= 3
