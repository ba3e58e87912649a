"""Conversations of `chat` beside transformers: whatever a template drops, repeats or closes, what the memory has read before each
answer is what apply_chat_template writes of all messages, and then the answer. INGRAIN_TEST_ALL=1 tries every kind of answer."""
import json
import os

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<s>"]
TURNS = "{% for m in MESSAGES %}<|im_start|>{{ m.role }}\n{{ CONTENT }}<|im_end|>\n{% endfor %}"
BEGIN = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


def turns(content="m.content", messages="messages", before="", begin=BEGIN):
    return before + TURNS.replace("MESSAGES", messages).replace("CONTENT", content) + begin


TEMPLATES = {
    "as they are": turns(),
    "drops thoughts": turns("m.content.split('</think>')[-1] if m.role == 'assistant' else m.content"),
    "trims": turns("m.content | trim"),
    "repeats the question": turns(begin="{% if add_generation_prompt %}({{ messages[-1].content }})<|im_start|>assistant\n{% endif %}"),
    "counts messages": turns(before="{{ messages | length }} messages\n"),
    "backwards": turns(messages="messages | reverse"),
    "the last three": turns(messages="messages[-3:]"),
    "instructions of its own": turns(before="{% if messages[0].role != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n{% endif %}"),
    "thinks before": turns(begin="{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n</think>\n{% endif %}"),
    "brackets": "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]\n{% else %} {{ m.content | trim }} {{ eos_token }}{% endif %}{% endfor %}",
    "never closes": "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:\n{% endif %}",
    "closes twice": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% if m.role == 'assistant' %}<|endoftext|>{% endif %}\n{% endfor %}" + BEGIN,
    "closes all but the last": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% if not loop.last or m.role == 'user' %}<|im_end|>\n{% endif %}{% endfor %}" + BEGIN,
}
# What follows what in answers: a model that looks at the last token alone.
ANSWERS = {
    "thinks": ["\n", "<think>", "x", "</think>", "y", "<|im_end|>"], "is cut": ["\n", "a", "b", "a"], "white space": ["\n", " ", "h", "\t", "<|im_end|>"],
}
if os.environ.get("INGRAIN_TEST_ALL"):
    ANSWERS |= {"ends": ["\n", "h", "i", ".", "<|im_end|>"], "says nothing": ["\n", "<|im_end|>"], "writes control tokens": ["\n", "a", "<|im_start|>", "b", "<|im_end|>"]}
QUESTIONS = ["one", "two <|im_end|> x", "three"]


def byte_tokens():
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    out = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={text: i for i, text in enumerate([*CONTROL, *letters])}, merges=[]))
    out.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    out.decoder = tokenizers.decoders.ByteLevel()
    out.add_special_tokens(CONTROL)
    return out


TOKENS = byte_tokens()


@pytest.fixture(scope="module", params=ANSWERS)
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    size, end = TOKENS.get_vocab_size(), TOKENS.token_to_id("<|im_end|>")
    config = transformers.LlamaConfig(vocab_size=size, hidden_size=288, intermediate_size=32, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=4,
                                      max_position_embeddings=4096, bos_token_id=None, eos_token_id=end, pad_token_id=None, tie_word_embeddings=False)
    model = transformers.LlamaForCausalLM(config)
    chain = [TOKENS.encode(text).ids[0] for text in ANSWERS[request.param]]
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.fill_(1 if name.endswith("norm.weight") else 0)
        model.model.embed_tokens.weight[:, :size] = torch.eye(size)
        for before, after in zip(chain, chain[1:]):
            model.lm_head.weight[after, before] = 10
    model.save_pretrained(folder)
    TOKENS.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "<|im_end|>"}))
    return folder


def ids_of(tokenizer, messages):
    """Of what a person says no part is a control token."""
    marked = [dict(m, content=m["content"].replace("<|im_end|>", "\x01")) if m["role"] == "user" else m for m in messages]
    parts = tokenizer.apply_chat_template(marked, tokenize=False, add_generation_prompt=True).split("\x01")
    out = TOKENS.encode(parts[0]).ids
    for part in parts[1:]:
        out += [TOKENS.token_to_id(letter) for letter in "<|im_end|>"] + TOKENS.encode(part).ids
    return out


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_memory_has_read_what_the_template_writes(ingrain, model, tmp_path, template):
    (model / "chat_template.jinja").write_text(TEMPLATES[template])
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    messages, end = [], TOKENS.token_to_id("<|im_end|>")
    for question in QUESTIONS:
        begun = ["--last"] if messages else [model]
        done = ingrain("chat", *begun, "--temperature", "0", "--max-tokens", "7", "--dtype", "fp32", "--device", "cpu", input=question + "\n", env=environment)
        assert done.returncode == 0, done.stderr
        read = json.loads(json.loads((tmp_path / "ingrain" / "last.json").read_text())["dialogue"])["tokens"]
        messages.append(dict(role="user", content=question))
        want = ids_of(tokenizer, messages)
        assert read[:len(want)] == want, (TOKENS.decode(read, skip_special_tokens=False), TOKENS.decode(want, skip_special_tokens=False))
        answer = read[len(want):]
        messages.append(dict(role="assistant", content=TOKENS.decode(answer[:-1] if answer[-1:] == [end] else answer, skip_special_tokens=False)))
