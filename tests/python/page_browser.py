"""What people do with the page in a browser. The browser itself is a fixture of page_fixtures.py."""
import json
import os
import pathlib
import shutil

import pytest
from serving import READER, wait_until

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: apt-get install chromium")

SHOTS = os.environ.get("INGRAIN_PAGE_SHOTS")  # a folder for pictures of what the tests see
WAIT = 60_000


def until(page, condition):
    """Playwright's own wait_for_function evaluates text in the page, which its policy refuses."""
    wait_until(lambda: page.evaluate(condition), WAIT / 1000)


def settle(page):
    page.locator("#send").wait_for()
    until(page, "document.querySelectorAll('.answer[aria-busy=true]').length === 0")


def set_up(page, **values):
    """Fields of the settings, as one would."""
    page.click("#open-settings")
    for name, value in values.items():
        field = page.locator(f"#settings-form [name={name}]")
        if isinstance(value, bool):
            field.set_checked(value)
        elif field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(str(value))
    page.click("#settings-form .primary")
    page.locator("#settings").wait_for(state="hidden")


def say(page, text, done=True):
    page.fill("#say", text)
    page.press("#say", "Enter")
    if done:
        page.locator(".answer").last.wait_for()
        settle(page)


def picture(page, name):
    if SHOTS:
        page.screenshot(path=pathlib.Path(SHOTS) / f"{name}.png")


def stream_of(text, pieces=7):
    """What the server would send for an answer of this text."""
    def event(kind, **members):
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n"

    response = {"id": "resp_hostile", "object": "response", "status": "completed", "output": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}], "usage": None}
    size = max(1, len(text) // pieces)
    deltas = [text[i:i + size] for i in range(0, len(text), size)]
    return (event("response.created", response={**response, "status": "in_progress", "output": []})
            + "".join(event("response.output_text.delta", delta=delta) for delta in deltas)
            + event("response.completed", response=response))


def answer_with(page, text):
    body = stream_of(text).encode("utf-8", "surrogatepass")
    page.route("**/v1/responses", lambda route: route.fulfill(status=200, content_type="text/event-stream", body=body))


def never_ends(page):
    """Answers end at their limit alone: the small model's end with a line, and it likes to say nothing."""
    vocabulary = json.loads((READER / "tokenizer.json").read_text())["model"]["vocab"]
    ends = json.loads((READER / "config.json").read_text())["eos_token_id"]
    ends += [token for text, token in vocabulary.items() if "\u010a" in text]  # how byte-level BPE writes a line's end
    more = {"logit_bias": {str(token): -100 for token in ends}}
    page.route("**/v1/responses", lambda route: route.continue_(post_data=json.dumps({**route.request.post_data_json, **more})))
