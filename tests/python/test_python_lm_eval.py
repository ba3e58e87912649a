"""lm-eval's Hugging Face backend on what ingrain.hf.export writes: perplexity and multiple choice, as we score them."""

import json
import math

import pytest

from python_package import EMMA, save_tiny

import ingrain  # noqa: E402, I001
from ingrain import hf  # noqa: E402

pytest.importorskip("lm_eval", reason="lm-eval is not installed, and large: pip install lm-eval to run this")

TEXTS = [EMMA[:150], EMMA[300:360]]
QUESTIONS = [
    {"question": "Emma was", "choices": [" handsome", " a toad, and old"], "answer": 0},
    {"question": "The house", "choices": [" stood", " sang"], "answer": 1},
]
TASKS = {
    "texts": 'output_type: loglikelihood_rolling\ndoc_to_text: ""\ndoc_to_target: "{{text}}"\nmetric_list: [{metric: bits_per_byte}]',
    "questions": 'output_type: multiple_choice\ndoc_to_text: "{{question}}"\ndoc_to_choice: choices\ndoc_to_target: answer\n'
                 'target_delimiter: ""\nmetric_list: [{metric: acc}]',
}


def test_its_scores_are_ours(tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    path = save_tiny(tmp_path / "tiny", initializer_range=0.2)
    hf.export(path, tmp_path / "hf")
    (tmp_path / "tasks").mkdir()
    for name, docs in (("texts", [{"text": text} for text in TEXTS]), ("questions", QUESTIONS)):
        data = tmp_path / f"{name}.jsonl"
        data.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
        (tmp_path / "tasks" / f"{name}.yaml").write_text(
            f"task: {name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {data}}}}}\ntest_split: test\n{TASKS[name]}\n")
    theirs = HFLM(pretrained=str(tmp_path / "hf"), trust_remote_code=True, dtype="float32", device="cpu", batch_size=2)
    out = simple_evaluate(theirs, tasks=list(TASKS), bootstrap_iters=0, log_samples=True,
                          task_manager=TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False))

    ours = ingrain.Model.load(path, dtype="fp32", device="cpu")

    def log_probability(tokens, first):
        return -ingrain.Memory(ours).read(tokens).nll[first:].sum().item()

    total = sum(log_probability(ours.encode(text, document=True), 1) for text in TEXTS)
    bits = -total / sum(len(text.encode()) for text in TEXTS) / math.log(2)
    assert out["results"]["texts"]["bits_per_byte,none"] == pytest.approx(bits, rel=1e-5)
    for sample in out["samples"]["questions"]:
        asked = QUESTIONS[sample["doc_id"]]
        first = len(ours.encode(asked["question"]))
        for choice, [(said, _)] in zip(asked["choices"], sample["resps"], strict=True):
            assert said == pytest.approx(log_probability(ours.encode(asked["question"] + choice), first), rel=1e-5)
