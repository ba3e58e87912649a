"""Thoughts, calls of tools and the notepad through the real server. The model is reader-17m with a template and marks
of Qwen's kind; logit_bias and grammars decide what it writes, so that nothing depends on what a small model says."""
import json
import re
import shutil

import pytest
from serving import READER, Server

TEMPLATE = """{%- if tools %}<system>Call a tool as <tool_call>
{"name": "f", "arguments": {}}
</tool_call>{% for t in tools %}{{ t | tojson }}{% endfor %}<|end_of_text|>{% endif %}
{%- for m in messages %}<{{ m.role }}>{{ m.content }}
{%- for c in m.tool_calls or [] %}
<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|end_of_text|>{% endfor %}
{%- if add_generation_prompt %}<assistant>{% if enable_thinking is defined and not enable_thinking %}<think>

</think>

{% else %}<think>
{% endif %}{% endif %}"""
MARKS = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
TOOLS = [{"type": "function", "function": {"name": name, "description": "d", "parameters": {
    "type": "object", "properties": {"x": {"enum": [1, 2]}}, "required": ["x"], "additionalProperties": False}}}
    for name in ("f", "g")]
X = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"const": "x"}}}


def thinking_model(folder):
    """reader-17m, whose last tokens have become marks. </think> is special: it is spelt all the same."""
    for name in ("config.json", "model.safetensors"):
        shutil.copy(READER / name, folder / name)
    tokenizer = json.loads((READER / "tokenizer.json").read_text())
    vocabulary, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    by_id = {number: token for token, number in vocabulary.items()}
    for i, mark in enumerate(MARKS):
        number = len(by_id) - 1 - i
        del vocabulary[by_id[number]]
        merges.pop()
        vocabulary[mark] = number
        tokenizer["added_tokens"].append({"id": number, "content": mark, "single_word": False, "lstrip": False, "rstrip": False,
                                          "normalized": False, "special": mark == "</think>"})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder, {mark: vocabulary[mark] for mark in MARKS}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    model, ids = thinking_model(tmp_path_factory.mktemp("thinker"))
    log = tmp_path_factory.mktemp("log") / "log"
    with Server(tmp_path_factory.mktemp("serve") / "store", "--name", "thinker", "--log", log, model=model) as running:
        running.ids = ids
        running.a = running.post("/tokenize", {"content": "a"})["tokens"][0]
        running.log = log
        yield running


def musing(server, **more):
    """As, and ends of thoughts, as chance has it; the penalty makes sure that thoughts end."""
    return {"logit_bias": {str(server.a): 100, str(server.ids["</think>"]): 100}, "temperature": 1, "frequency_penalty": 2,
            "max_tokens": 300, **more}


def said(text):
    return [{"role": "user", "content": text}]


def not_read_again(server, usage):
    """How many tokens were read; the log has no miss."""
    cached = usage.get("prompt_tokens_details", usage.get("input_tokens_details"))["cached_tokens"]
    assert "miss" not in json.loads(server.log.read_text().splitlines()[-1])
    return usage.get("prompt_tokens", usage.get("input_tokens")) - cached


def test_thoughts_are_apart_in_chat_and_its_stream(server):
    for seed in range(4):
        ask = musing(server, messages=said("Why?"), seed=seed, max_tokens=12)
        reply = server.post("/v1/chat/completions", ask)
        message = reply["choices"][0]["message"]
        thought, text = message.get("reasoning_content", ""), message["content"]
        assert re.fullmatch("a*", thought) and re.fullmatch("(a|</think>)*", text)
        counted = reply["usage"]["completion_tokens_details"]["reasoning_tokens"]
        assert counted + len(re.findall("a|</think>", text)) == reply["usage"]["completion_tokens"] == 12
        assert counted in (len(thought), len(thought) + 1), "and the end of the thoughts"
        deltas = [d["choices"][0]["delta"] for _, d in server.events("/v1/chat/completions", {**ask, "stream": True})
                  if d != "[DONE]"]
        assert "".join(d.get("reasoning_content", "") for d in deltas) == thought
        assert "".join(d.get("content") or "" for d in deltas) == text


def test_thoughts_have_no_scores_and_the_text_has_all_of_its_own(server):
    reply = server.post("/v1/chat/completions", musing(server, messages=said("Why?"), response_format=X, logprobs=True))
    choice = reply["choices"][0]
    assert choice["message"]["content"] == '"x"' and choice["finish_reason"] == "stop"
    assert "".join(token["token"] for token in choice["logprobs"]["content"]).strip() == '"x"'


def test_a_conversation_that_comes_back_without_its_thoughts_goes_on_from_its_memory(server):
    messages = said("Why is the sky so far away from the garden of Hartfield?")
    for turn in range(3):
        reply = server.post("/v1/chat/completions", musing(server, messages=messages, response_format=X))
        if turn:
            assert not_read_again(server, reply["usage"]) < 40
        messages = [*messages, {"role": "assistant", "content": reply["choices"][0]["message"]["content"]}, *said("And?")]
    messages[1]["reasoning_content"] = "something else that the template does not show"
    again = server.post("/v1/chat/completions", musing(server, messages=messages, response_format=X))
    assert not_read_again(server, again["usage"]) < 40


def test_responses_have_reasoning_items_and_go_on_after_them(server):
    def ask(**more):
        return musing(server, max_output_tokens=300, text={"format": {"type": "json_schema", "name": "x", "schema": {"const": "x"}}},
                      **more) | {"max_tokens": None}

    first = server.post("/v1/responses", ask(input="Why is the sky so far away from the garden?"))
    kinds = [item["type"] for item in first["output"]]
    assert kinds in (["reasoning", "message"], ["message"]), "chance may end the thoughts at once"
    assert first["output"][-1]["content"][0]["text"] == '"x"'
    second = server.post("/v1/responses", ask(input="And?", previous_response_id=first["id"]))
    assert not_read_again(server, second["usage"]) < 40
    history = [*said("Why is the sky so far away from the garden?"), *first["output"], *said("And what else?")]
    sent = server.post("/v1/responses", ask(input=history, store=False))
    assert not_read_again(server, sent["usage"]) < 40
    events = list(server.events("/v1/responses", ask(input="Why?", stream=True)))
    names = [name for name, _ in events]
    final = events[-1][1]["response"]
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    assert "".join(d["delta"] for n, d in events if n == "response.output_text.delta") == final["output"][-1]["content"][0]["text"]
    assert [d["item"] for n, d in events if n == "response.output_item.done"] == final["output"]
    if final["output"][0]["type"] == "reasoning":
        thought = "".join(d["delta"] for n, d in events if n == "response.reasoning_text.delta")
        assert final["output"][0]["content"] == [{"type": "reasoning_text", "text": thought}]
        assert names.index("response.reasoning_text.done") < names.index("response.output_text.delta")


def test_messages_think_where_they_are_told_to_and_as_long(server):
    ask = {"messages": said("Why?"), "max_tokens": 30, "temperature": 0}
    without = server.post("/v1/messages", ask)
    assert {block["type"] for block in without["content"]} <= {"thinking", "text"}
    reply = server.post("/v1/messages", {**ask, "thinking": {"type": "enabled", "budget_tokens": 4}})
    blocks = {block["type"]: block for block in reply["content"]}
    assert set(blocks) <= {"thinking", "text"}
    thought = blocks.get("thinking", {"thinking": ""})["thinking"]
    assert len(server.post("/tokenize", {"content": thought})["tokens"]) <= 12, "a token is at most three replacement characters"
    assert reply["usage"]["output_tokens"] > 0
    history = [*ask["messages"], {"role": "assistant", "content": reply["content"]}, *said("And?")]
    assert server.post("/v1/messages", {**ask, "messages": history})["type"] == "message"


def test_a_call_that_the_model_begins_follows_its_schema_and_streams(server):
    ask = {"messages": said("Call."), "tools": TOOLS, "parallel_tool_calls": False, "max_tokens": 80, "reasoning_effort": "none",
           "logit_bias": {str(server.ids["<tool_call>"]): 100}, "seed": 3}
    reply = server.post("/v1/chat/completions", ask)
    choice = reply["choices"][0]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    call, = choice["message"]["tool_calls"]
    assert call["function"]["name"] in ("f", "g") and json.loads(call["function"]["arguments"])["x"] in (1, 2)
    deltas = [d["choices"][0]["delta"] for _, d in server.events("/v1/chat/completions", {**ask, "stream": True}) if d != "[DONE]"]
    parts = [c for d in deltas for c in d.get("tool_calls", [])]
    assert parts[0]["function"]["name"] == call["function"]["name"] and parts[0]["id"] and len(parts) > 2
    assert "".join(c["function"].get("arguments", "") for c in parts) == call["function"]["arguments"]
    history = [*ask["messages"], choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "3"}]
    after = server.post("/v1/chat/completions", {**ask, "messages": history, "max_tokens": 1})
    assert not_read_again(server, after["usage"]) < 40
    several = server.post("/v1/chat/completions", {**ask, "parallel_tool_calls": True, "max_tokens": 200})["choices"][0]
    assert len(several["message"]["tool_calls"]) > 1
    for one in several["message"]["tool_calls"][:-1]:
        assert json.loads(one["function"]["arguments"])["x"] in (1, 2)


def test_calls_in_the_shapes_of_the_other_apis(server):
    tools = [{"type": "function", **tool["function"]} for tool in TOOLS]
    ask = {"input": "Call.", "tools": tools, "tool_choice": "required", "parallel_tool_calls": False, "reasoning": {"effort": "none"}}
    events = list(server.events("/v1/responses", {**ask, "stream": True}))
    final = events[-1][1]["response"]
    item, = final["output"]
    assert item["type"] == "function_call" and json.loads(item["arguments"])["x"] in (1, 2)
    assert "".join(d["delta"] for n, d in events if n == "response.function_call_arguments.delta") == item["arguments"]
    on = server.post("/v1/responses", {**ask, "tool_choice": "none", "previous_response_id": final["id"], "max_output_tokens": 2,
                                       "input": [{"type": "function_call_output", "call_id": item["call_id"], "output": "3"}]})
    assert on["usage"]["output_tokens"] <= 2
    anthropic = [{"name": t["name"], "input_schema": t["parameters"]} for t in tools]
    reply = server.post("/v1/messages", {"messages": said("Call."), "max_tokens": 90, "temperature": 0, "tools": anthropic,
                                         "tool_choice": {"type": "any", "disable_parallel_tool_use": True}})
    assert reply["stop_reason"] == "tool_use" and reply["content"][-1]["input"]["x"] in (1, 2)


def test_a_schema_that_no_grammar_can_hold_to_is_refused_where_it_must(server):
    tool = json.loads(json.dumps(TOOLS[0]))
    tool["function"]["parameters"]["properties"]["x"] = {"type": "string", "pattern": "a+"}
    ask = {"messages": said("Call."), "tools": [tool], "max_tokens": 2}
    assert server.request("POST", "/v1/chat/completions", ask)[0] == 200
    tool["function"]["strict"] = True
    status, _, reply = server.request("POST", "/v1/chat/completions", ask)
    assert status == 400 and "pattern" in reply["error"]["message"]


def test_the_notepad_looks_in_what_was_said_and_passages_are_not_read_again(server):
    fact = "The gate of the old castle is opened by the code 4711, which the porter wrote on a card."
    ask = {"notepad": {"enabled": True, "passages": 2}, "max_tokens": 3, "reasoning_effort": "none", "temperature": 0,
           "logit_bias": {str(server.a): 100}}
    messages = said(fact)
    first = server.post("/v1/chat/completions", {**ask, "messages": messages})
    assert first["ingrain"]["passages"] == [], "nothing was said before"
    for turn in range(3):
        messages = [*messages, {"role": "assistant", "content": "aaa"}, *said("What is the code of the gate?")]
        reply = server.post("/v1/chat/completions", {**ask, "messages": messages})
        assert any(p["text"] == fact and p["source"] == "message 1 (user)" for p in reply["ingrain"]["passages"])
        if turn:
            assert not_read_again(server, reply["usage"]) < 200
    off = server.post("/v1/chat/completions", {**ask, "notepad": None, "messages": [*messages, {"role": "assistant", "content": "aaa"}, *said("And?")]})
    assert not_read_again(server, off["usage"]) < 40 and "passages" not in off["ingrain"]


def test_the_real_clients_read_thoughts_and_calls(server):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
    bias = {str(server.a): 100, str(server.ids["</think>"]): 100}
    kinds = set()
    with client.responses.stream(model="thinker", input="Why?", max_output_tokens=40,
                                 extra_body={"logit_bias": bias, "text": {"format": {"type": "json_object"}}}) as stream:
        for event in stream:
            kinds.add(event.type)
    final = event.response  # of response.completed or response.incomplete; get_final_response() knows the first alone
    assert {"response.created"} < kinds and final.usage.output_tokens_details.reasoning_tokens >= 0
    calling = client.chat.completions.create(model="thinker", messages=said("Call."), tools=TOOLS, reasoning_effort="none",
                                             parallel_tool_calls=False, max_tokens=80, stream=True,
                                             logit_bias={str(server.ids["<tool_call>"]): 100})
    arguments = "".join(c.function.arguments or "" for chunk in calling for choice in chunk.choices
                        for c in choice.delta.tool_calls or [])
    assert json.loads(arguments)["x"] in (1, 2)
    # No thinking asked for: none by chance either, though the model would like to begin with it.
    forced = client.chat.completions.create(model="thinker", messages=said("Call."), tools=TOOLS, reasoning_effort="none",
                                            tool_choice="required", max_tokens=80, logit_bias={str(server.ids["<think>"]): 100})
    assert forced.choices[0].message.tool_calls
    anthropic = pytest.importorskip("anthropic")
    client = anthropic.Anthropic(base_url=server.url, api_key="none")
    with client.messages.stream(model="thinker", max_tokens=60, messages=said("Why?"),
                                thinking={"type": "enabled", "budget_tokens": 4}) as stream:
        message = stream.get_final_message()
    assert {block.type for block in message.content} <= {"thinking", "text"}
    with client.messages.stream(model="thinker", max_tokens=90, messages=said("Call."), tool_choice={"type": "any"},
                                tools=[{"name": "f", "input_schema": TOOLS[0]["function"]["parameters"]}]) as stream:
        message = stream.get_final_message()
    assert any(block.type == "tool_use" and block.name == "f" for block in message.content)


def test_a_name_is_read_where_the_template_shows_it_and_else_refused(tmp_path):
    (tmp_path / "model").mkdir()
    model, _ = thinking_model(tmp_path / "model")
    shown = TEMPLATE.replace("<{{ m.role }}>", "<{{ m.role }}{% if m.role == 'user' and m.name %} {{ m.name }}{% endif %}>")
    (model / "chat_template.jinja").write_text(shown)
    with Server(tmp_path / "store", model=model) as server:
        def ask(*messages):
            return server.request("POST", "/v1/chat/completions", {"messages": messages, "max_tokens": 1, "tools": TOOLS})

        user = {"role": "user", "content": "Why?"}
        plain, named = ask(user)[2]["usage"], ask({**user, "name": "annabella"})[2]["usage"]
        assert named["prompt_tokens"] > plain["prompt_tokens"]
        status, _, reply = ask({**user, "name": "anna"}, {"role": "assistant", "name": "ben", "content": "So."}, user)
        assert (status, reply["error"]["param"]) == (400, "messages[1].name")
        call = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
        result = {"role": "tool", "tool_call_id": "c", "content": "1"}
        assert ask(user, call, {**result, "name": "f"})[0] == 200  # what the call says already
        assert ask(user, call, {**result, "name": "g"})[2]["error"]["param"] == "messages[2].name"
