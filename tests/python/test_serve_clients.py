"""The clients that people use talk to the real server: their own types, their own parsing. Versions:
python/requirements-test.txt, tests/node/package.json."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest
from serving import READER, Server

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")
NODE = pathlib.Path(__file__).resolve().parents[1] / "node"
KEY = "sk-test-of-clients"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    keys = folder / "keys"
    keys.write_text(f"tests:{KEY}\n")
    with Server(folder / "store", "--keys", keys) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key=KEY, max_retries=0)


@pytest.fixture(scope="module")
def model(client):
    return client.models.list().data[0].id


def test_openai_chat_reads_only_what_is_new(client, model):
    messages = [{"role": "user", "content": "Who is Emma?"}]
    first = client.chat.completions.create(model=model, messages=messages, max_tokens=12, temperature=0)
    assert first.object == "chat.completion" and first.usage.completion_tokens <= 12
    assert first.choices[0].finish_reason in ("stop", "length")
    messages += [{"role": "assistant", "content": first.choices[0].message.content}, {"role": "user", "content": "And then?"}]
    second = client.chat.completions.create(model=model, messages=messages, max_tokens=4, temperature=0)
    new = second.usage.prompt_tokens - second.usage.prompt_tokens_details.cached_tokens
    assert second.usage.prompt_tokens_details.cached_tokens > 0 and new < first.usage.prompt_tokens + 12


def test_openai_streams_what_it_would_have_answered(client, model):
    ask = dict(model=model, messages=[{"role": "user", "content": "Tell me of the sea."}], max_tokens=16, temperature=0)
    whole = client.chat.completions.create(**ask)
    text, usage, reasons = "", None, []
    with client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}) as stream:
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasons += [choice.finish_reason] if choice.finish_reason else []
    assert text == whole.choices[0].message.content
    assert reasons == [whole.choices[0].finish_reason]
    assert usage.completion_tokens == whole.usage.completion_tokens


def test_openai_logprobs_are_one_a_token_and_their_bytes_are_the_text(client, model):
    reply = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}], max_tokens=8,
                                           temperature=0, logprobs=True, top_logprobs=3)
    tokens = reply.choices[0].logprobs.content
    assert len(tokens) == reply.usage.completion_tokens
    assert all(len(t.top_logprobs) == 3 and t.logprob <= 0 for t in tokens)
    assert all(t.logprob == max(x.logprob for x in t.top_logprobs) for t in tokens)  # greedy
    written = bytes(b for t in tokens for b in t.bytes).decode(errors="replace")
    assert written.startswith(reply.choices[0].message.content)


def test_openai_responses_go_on_from_each_other_and_branch(client, model):
    first = client.responses.create(model=model, input="Who is Emma?", max_output_tokens=8, temperature=0)
    assert first.status in ("completed", "incomplete")
    if first.status == "incomplete":
        assert first.incomplete_details.reason == "max_output_tokens"
    left = client.responses.create(model=model, input="Go on.", previous_response_id=first.id, max_output_tokens=8, temperature=0)
    right = client.responses.create(model=model, input="Stop it.", previous_response_id=first.id, max_output_tokens=8, temperature=0)
    assert left.previous_response_id == right.previous_response_id == first.id
    for reply in (left, right):
        assert reply.usage.input_tokens_details.cached_tokens >= first.usage.input_tokens
    again = client.responses.retrieve(left.id)
    assert again.output_text == left.output_text
    client.responses.delete(right.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(right.id)


def test_openai_responses_stream_the_documented_events_in_order(client, model):
    with client.responses.create(model=model, input="Hello", max_output_tokens=6, stream=True) as stream:
        events = list(stream)
    kinds = [e.type for e in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert kinds[-1] in ("response.completed", "response.incomplete")
    assert kinds[-4:-1] == ["response.output_text.done", "response.content_part.done", "response.output_item.done"]
    assert [e.sequence_number for e in events] == list(range(len(events)))
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == events[-1].response.output_text


def test_openai_conversations_hold_what_was_said(client, model):
    conversation = client.conversations.create(metadata={"title": "a walk"})
    client.responses.create(model=model, input="Where do we go?", conversation=conversation.id, max_output_tokens=5)
    client.responses.create(model=model, input="And now?", conversation=conversation.id, max_output_tokens=5)
    items = list(client.conversations.items.list(conversation.id, order="asc"))
    assert [i.role for i in items] == ["user", "assistant", "user", "assistant"]
    assert client.conversations.retrieve(conversation.id).metadata == {"title": "a walk"}
    client.conversations.delete(conversation.id)
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)


def test_openai_json_schema_is_kept_to(client, model):
    schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "old": {"type": "boolean"}},
              "required": ["name", "old"], "additionalProperties": False}
    reply = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Describe Emma."}], max_tokens=200, temperature=0.8, seed=3,
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}})
    value = json.loads(reply.choices[0].message.content)
    assert isinstance(value["name"], str) and isinstance(value["old"], bool) and len(value) == 2


def test_openai_errors_are_its_own_classes(server, client, model):
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "x"}])
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as odd:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}], temperature=9)
    assert odd.value.param == "temperature"
    with pytest.raises(openai.AuthenticationError) as stranger:
        openai.OpenAI(base_url=server.url + "/v1", api_key="sk-wrong", max_retries=0).models.list()
    assert stranger.value.code == "invalid_api_key"


def test_openai_legacy_completions(client, model):
    reply = client.completions.create(model=model, prompt="Emma Woodhouse, handsome, clever,", max_tokens=6, temperature=0, logprobs=2)
    assert reply.object == "text_completion" and len(reply.choices[0].logprobs.tokens) == reply.usage.completion_tokens


def test_anthropic_messages(server, model):
    client = anthropic.Anthropic(base_url=server.url, api_key=KEY, max_retries=0)
    ask = dict(model=model, max_tokens=8, system="Be brief.", extra_body={"temperature": 0}, messages=[{"role": "user", "content": "Who is Emma?"}])
    whole = client.messages.create(**ask)
    assert whole.stop_reason in ("end_turn", "max_tokens") and whole.usage.output_tokens <= 8
    with client.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.usage.cache_read_input_tokens > 0  # the same prompt, known by now
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="claude", max_tokens=8, messages=[{"role": "user", "content": "x"}])


def test_langchain(server, model):
    langchain = pytest.importorskip("langchain_openai")
    chat = langchain.ChatOpenAI(base_url=server.url + "/v1", api_key=KEY, model=model, max_tokens=8, temperature=0)
    reply = chat.invoke("Who is Emma?")
    assert reply.content == "".join(chunk.content for chunk in chat.stream("Who is Emma?"))
    assert reply.usage_metadata["output_tokens"] <= 8


def test_llm_with_its_file_of_models(server, model, tmp_path):
    pytest.importorskip("llm")
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: ours\n  model_name: {model}\n  api_base: {server.url}/v1\n  api_key_name: ours\n  supports_schema: true\n")
    (tmp_path / "keys.json").write_text(json.dumps({"ours": KEY}))
    program = pathlib.Path(shutil.which("llm") or pathlib.Path(os.sys.executable).with_name("llm"))

    def llm(*arguments):
        done = subprocess.run([program, "-m", "ours", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, "LLM_USER_PATH": str(tmp_path)}, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
        return done.stdout

    # The small model may well say nothing of its own, so it is told what to say something about; forty blanks may precede a bracket.
    schema = {"type": "object", "properties": {"old": {"type": "boolean"}}, "required": ["old"], "additionalProperties": False}
    assert isinstance(json.loads(llm("-o", "max_tokens", "200", "--schema", json.dumps(schema), "Is Emma old?"))["old"], bool)


@pytest.fixture(scope="module")
def node():
    if not shutil.which("npm"):
        pytest.skip("there is no npm here: the clients in JavaScript are not tried")
    if not (NODE / "node_modules").is_dir():
        done = subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=NODE, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm could not install the clients: {done.stderr[-300:]}")

    def run(script, server, model):
        done = subprocess.run(["node", NODE / script], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "BASE_URL": server.url + "/v1", "API_KEY": KEY, "MODEL": model})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_npm_openai(node, server, model):
    seen = node("openai.mjs", server, model)
    assert seen["streamed"] == seen["whole"] and seen["cached"] > 0
    assert seen["events"][0] == "response.created" and seen["error"] == "model_not_found"


def test_npm_ai_sdk(node, server, model):
    seen = node("ai.mjs", server, model)
    assert seen["streamed"] == seen["whole"] and seen["reason"] in ("stop", "length") and seen["output_tokens"] > 0
