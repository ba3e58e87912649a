"""The page at "/", in a headless Chromium against the real server: what people do with it, what hostile text does to it,
and whether those who cannot see it can use it."""
import json
import os
import pathlib
import shutil

import pytest
from serving import READER, Server, wait_until

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: apt-get install chromium")

SHOTS = os.environ.get("INGRAIN_PAGE_SHOTS")  # a folder for pictures of what the tests see
TEXT = "It was a bright morning, and the whole village had come to the harbour to see the ships go out. " * 120
WAIT = 60_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(server, chromium):
    """Opens the page in a browser of its own; a test fails if anything went wrong in it that it does not name."""
    contexts, wrong = [], []

    def visit(url=None, expect=(), **options):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(WAIT)
        contexts.append(context)
        page = context.new_page()

        def note(text):
            if not any(known in text for known in expect):
                wrong.append(text)

        page.on("console", lambda message: message.type == "error" and note(message.text))
        page.on("pageerror", lambda error: note(str(error)))
        page.on("dialog", lambda dialog: (note("dialog: " + dialog.message), dialog.dismiss()))
        page.goto(url or server.url)
        if not expect:
            until(page, "document.querySelector('#model').textContent !== ''")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not wrong, wrong


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


def tags(page):
    return set(page.eval_on_selector_all(".answer .markdown *", "nodes => nodes.map(node => node.tagName.toLowerCase())"))


def hrefs(page):
    return page.eval_on_selector_all(".answer .markdown a", "nodes => nodes.map(node => [node.protocol, node.rel, node.target])")


def test_an_answer_streams_and_its_conversation_is_there_after_a_reload(visit):
    page = visit()
    never_ends(page)
    set_up(page, max_tokens=24)
    say(page, "Who is Emma?")
    text = page.locator(".answer .markdown").inner_text()
    assert text.strip()
    assert "24 tokens" in page.locator(".answer .facts").inner_text()
    assert page.locator("#fact-position").inner_text() != "none yet"
    page.reload()
    page.locator("#conversations .entry").first.click()
    page.locator(".answer").wait_for()
    assert page.locator(".question .text").inner_text() == "Who is Emma?"
    assert page.locator(".answer .markdown").inner_text() == text


def test_retry_and_edit_keep_what_was_there_and_the_tree_shows_it(visit):
    page = visit()
    set_up(page, max_tokens=8)
    say(page, "One")
    say(page, "Two")
    page.locator(".retry").last.click()
    page.locator(".answer .switcher").wait_for()
    settle(page)
    assert page.locator(".answer .switcher").inner_text().split() == ["‹", "2/2", "›"]
    page.locator(".edit").last.click()
    page.fill(".editing textarea", "Three")
    page.press(".editing textarea", "Enter")
    page.locator(".question .switcher").wait_for()
    settle(page)
    assert page.locator(".question .text").all_inner_texts() == ["One", "Three"]
    assert page.locator("#tree button").all_inner_texts() == ["One", "Two", "Two", "Three"]
    page.get_by_label("Previous question").click()
    assert page.locator(".question .text").all_inner_texts() == ["One", "Two"]
    page.locator("#tree button").last.click()
    assert page.locator(".question .text").all_inner_texts() == ["One", "Three"]
    # The same tree after a reload, from the server alone.
    page.reload()
    page.locator("#conversations .entry").first.click()
    page.locator("#tree button").first.wait_for()
    assert page.locator("#tree button").all_inner_texts() == ["One", "Two", "Two", "Three"]
    # And it is one memory that goes on: the next turn reads the new words only.
    say(page, "Four")
    assert "not read again" in page.locator(".answer .facts").last.inner_text()


def test_a_stopped_answer_stays_and_is_gone_on_from(visit):
    page = visit(expect=["404 (Not Found)"])  # it asks whether the server has kept the answer, which may take a moment
    until(page, "document.querySelector('#model').textContent !== ''")
    set_up(page, max_tokens=100000)
    never_ends(page)
    say(page, "Who is Emma?", done=False)
    until(page, "document.querySelector('.answer .markdown')?.textContent.length > 40")
    page.press("#say", "Escape")
    settle(page)
    assert page.locator(".answer .note").inner_text() == "Stopped."
    text = page.locator(".answer .markdown").inner_text()
    assert page.locator("#fact-size").inner_text().endswith("B")  # of what was kept
    set_up(page, max_tokens=8)
    say(page, "Go on")
    assert page.locator(".answer .markdown").first.inner_text() == text
    page.reload()
    page.locator("#conversations .entry").first.click()
    page.locator(".answer").nth(1).wait_for()
    # What was written until the server knew, which may be a few words more than were seen.
    assert page.locator(".answer .markdown").first.inner_text().startswith(text[:40])


def test_a_dropped_file_is_read_with_progress_and_a_conversation_begins_from_it(visit):
    page = visit()
    set_up(page, max_tokens=8)
    page.evaluate("""text => {
      const data = new DataTransfer();
      data.items.add(new File([text], "harbour.txt", { type: "text/plain" }));
      for (const kind of ["dragenter", "dragover", "drop"])
        document.querySelector("#log").dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
    }""", TEXT)
    page.locator("#read-dialog").wait_for()
    assert page.input_value("#read-form [name=name]") == "harbour"
    page.evaluate("""() => {
      window.seen = [];
      new MutationObserver(() => window.seen.push(document.querySelector("#reading-bar").value))
        .observe(document.querySelector("#reading-text"), { childList: true, characterData: true, subtree: true });
    }""")
    page.click("#read-form .primary")
    page.locator("#memories .entry").wait_for()
    page.locator("#reading").wait_for(state="hidden")
    seen = page.evaluate("window.seen")
    assert len([value for value in seen if value > 0]) > 2 and seen == sorted(seen)
    assert "tokens" in page.locator("#memories .entry").inner_text()
    assert page.locator("#chart path.loss").count() == 1
    assert "Inner loss, from" in page.locator("#chart").get_attribute("aria-label")
    assert page.locator("#base option:checked").inner_text() == "harbour"
    picture(page, "read-file")
    say(page, "What had the village come to see in the harbour?")
    assert "Begun from “harbour”" in page.locator("#base-shown").inner_text()
    page.locator(".passages summary").click()
    assert "harbour.txt" in page.locator(".passages .source").first.inner_text()
    assert "ships" in page.locator(".passages blockquote").first.inner_text()


def test_a_file_that_is_no_text_is_refused(visit, tmp_path):
    page = visit()
    binary = tmp_path / "picture.png"
    binary.write_bytes(b"\x89PNG\0\0\0")
    page.set_input_files("#files", str(binary))
    page.locator("#problem").wait_for()
    assert "picture.png is no text" in page.locator("#problem-text").inner_text()
    assert not page.locator("#read-dialog").is_visible()


HOSTILE = {
    "script": "<script>alert(1)</script>\n\n<img src=x onerror=alert(1)><svg onload=alert(1)>",
    "links": "[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html,<script>alert(1)</script>) [d](vbscript:x) "
             "[e](java\tscript:alert(1)) [f](//evil.example) [g](file:///etc/passwd) [h](&#106;avascript:alert(1)) "
             "<javascript:alert(1)> [i](https://user:password@example.org) [j](https://example.org/\"onclick=alert(1))",
    "images": "![x](https://evil.example/pixel.png) ![y](javascript:alert(1)) ![](https://evil.example/\"onerror=\"alert(1))",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#x3c;img src=x onerror=alert(1)&#x3e;",
    "attributes": "```html\" onload=\"alert(1)\n<script>alert(1)</script>\n```\n\n`<b onclick=alert(1)>`",
    "headings": "# <script>alert(1)</script>\n- <iframe src=javascript:alert(1)>\n> <style>*{display:none}</style>\n\n"
                "| <script> | b |\n| --- | --- |\n| <img src=x onerror=alert(1)> | [x](javascript:alert(1)) |",
    "clobber": "<form id=say><input name=body></form><a id=log name=log href=x>",
    "fence": "```\nnever closed\n<script>alert(1)</script>",
}
ALLOWED = {"p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "span", "em", "strong", "del", "code", "pre", "a", "table", "thead", "tbody",
           "tr", "th", "td", "blockquote", "hr", "div", "button"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_stays_text(visit, name):
    page = visit()
    answer_with(page, HOSTILE[name])
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    say(page, HOSTILE[name])
    assert tags(page) <= ALLOWED
    assert all(link == ["https:", "noopener noreferrer nofollow", "_blank"] for link in hrefs(page)), hrefs(page)
    attributes = page.eval_on_selector_all(".answer .markdown *", "nodes => nodes.flatMap(node => [...node.attributes].map(a => a.name))")
    assert not [each for each in attributes if each.startswith("on") or each in ("style", "src", "id", "name")]
    assert page.locator(".question .text").inner_text().split() == HOSTILE[name].split()
    assert not [url for url in requests if "evil" in url]
    picture(page, f"hostile-{name}")


def test_characters_that_turn_text_around_are_shown(visit):
    page = visit()
    answer_with(page, "access\u202e level\u2066 admin\u2069 \x00\x1b[31m\n\n```\nif x: \u202e return\n```\n\n[exa\u202emple](https://example.org)")
    say(page, "x")
    shown = page.locator(".answer .markdown").inner_text()
    for hidden in "\u202e\u2066\u2069\x00\x1b":
        assert hidden not in shown
    assert "access⟪U+202E⟫ level⟪U+2066⟫ admin⟪U+2069⟫ ⟪U+0000⟫⟪U+001B⟫[31m" in shown
    assert "if x: ⟪U+202E⟫ return" in shown


@pytest.mark.parametrize("name, piece", [("line", "x"), ("words", "word "), ("stars", "**a "), ("brackets", "[a]("), ("ticks", "`" * 3 + "a``"),
                                          ("quotes", "> "), ("items", "- a\n"), ("nested", "  - a\n"), ("pipes", "|a"), ("fence", "```\n"),
                                          ("underscores", "_a *b "), ("turns", "\u202e"), ("urls", "https://a.b/ ")])
def test_a_million_characters_leave_the_page_alive(visit, name, piece):
    page = visit()
    answer_with(page, piece * (1_000_000 // len(piece)))
    page.evaluate("window.begin = performance.now()")
    page.fill("#say", name)
    page.press("#say", "Enter")
    page.locator(".answer").wait_for()
    settle(page)
    assert page.evaluate("performance.now() - window.begin") < 30_000
    assert tags(page) <= ALLOWED
    assert page.evaluate("document.querySelectorAll('.answer *').length") < 250_000
    page.fill("#say", "still here")
    assert page.input_value("#say") == "still here"


def test_markdown_is_formatted(visit):
    page = visit()
    answer_with(page, "# Title\n\nA **bold** and *slanted* `code` ~~gone~~ [link](https://example.org/a_(b)).\nSecond line, 2*3*4, snake_case_name.\n\n"
                      "1. one\n   - inner\n2. two\n\n```python\nprint(\"<b>\")\n```\n\n| a | b |\n|---|---:|\n| 1 | 2 \\| 3 |\n\n> said\n\n---\n\nend")
    say(page, "x")
    view = page.locator(".answer .markdown")
    assert view.locator("h3").inner_text() == "Title"
    assert [view.locator(tag).first.inner_text() for tag in ("strong", "em", "del", "p code", "a")] == ["bold", "slanted", "gone", "code", "link"]
    assert view.locator("em").count() == 1
    assert "2*3*4, snake_case_name." in view.inner_text()
    assert view.locator("a").get_attribute("href") == "https://example.org/a_(b)"
    assert view.locator("ol > li").count() == 2 and view.locator("ol > li > ul > li").inner_text() == "inner"
    assert view.locator("pre").inner_text().strip() == 'print("<b>")'
    assert view.locator("td").all_inner_texts() == ["1", "2 | 3"]
    assert view.locator("blockquote").inner_text() == "said" and view.locator("hr").count() == 1


def test_drawing_in_any_split_gives_the_same(visit):
    text = ("# A\n\nsome *text* here\nmore\n- one\n- two\n\n  two's second\n- three\n\n1. x\n\n10. y\n\npara\n\n```js\nlet a;\n\n\nlet b;\n```\nafter\n\n"
            "| a | b |\n|---|---|\n| 1 | 2 |\n\n> q\n> r\n\n***\n\nlast `code` **bo")
    page = visit()
    drawn = page.evaluate("""async text => {
      const { MarkdownView } = await import("/page/markdown.js");
      const out = [];
      for (const size of [1, 2, 3, 7, 50, 10000]) {
        const element = document.createElement("div"), view = new MarkdownView(element);
        for (let i = 0; i < text.length; i += size) {
          view.append(text.slice(i, i + size));
          view.draw();
        }
        view.finish();
        out.push(new XMLSerializer().serializeToString(element));
      }
      return out;
    }""", text)
    assert all(each == drawn[0] for each in drawn), drawn


def test_code_is_copied_as_it_was_written(visit):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answer_with(page, "```python\nif a < b:\n    print('x')\n```")
    say(page, "x")
    page.locator(".code button").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "if a < b:\n    print('x')"


def test_keys_do_what_they_should(visit):
    page = visit()
    page.keyboard.press("Tab")
    page.locator(".skip:focus").wait_for()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "say"
    page.keyboard.type("first")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second")
    assert page.input_value("#say") == "first\nsecond"
    set_up(page, max_tokens=4)
    page.focus("#say")
    page.keyboard.press("Enter")
    page.locator(".answer").wait_for()
    settle(page)
    assert page.locator(".question .text").inner_text() == "first\nsecond"
    page.focus("#say")
    page.keyboard.press("ArrowUp")
    page.locator(".editing textarea:focus").wait_for()
    page.keyboard.press("Escape")
    assert page.locator(".editing").count() == 0


def test_settings_reach_the_request_and_the_key_stays_in_the_tab(visit):
    page = visit()
    set_up(page, key="secret", temperature=0.25, max_tokens=5, instructions="Be brief.", learn="off", notepad=False)
    sent = []
    page.on("request", lambda request: request.url.endswith("/v1/responses") and sent.append((request.post_data_json, request.headers)))
    say(page, "x")
    body, headers = sent[0]
    assert (body["temperature"], body["max_output_tokens"], body["instructions"], body["learn"]) == (0.25, 5, "Be brief.", "off")
    assert "notepad" not in body and headers["authorization"] == "Bearer secret"
    kept = page.evaluate("JSON.stringify({...localStorage})")
    assert "secret" not in kept and "Be brief." in kept


def test_enter_in_a_dialog_is_what_the_dialog_is_for_and_cancel_changes_nothing(visit):
    page = visit()
    field = page.locator("#settings-form [name=max_tokens]")

    def filled_with(value, close):
        page.click("#open-settings")
        field.fill(value)
        close()
        page.locator("#settings").wait_for(state="hidden")
        return page.evaluate("JSON.stringify({...localStorage})")

    saved = filled_with("6", lambda: field.press("Enter"))
    assert "6" in saved
    assert filled_with("9", lambda: page.click("#settings-cancel")) == saved
    assert filled_with("9", lambda: page.keyboard.press("Escape")) == saved


def test_a_server_with_keys_asks_for_one(chromium, visit, tmp_path):
    with Server(tmp_path / "store", environment={"INGRAIN_API_KEYS": "alice:sk-alice-0123456789"}) as locked:
        page = visit(locked.url, expect=("401",))
        page.locator("#settings").wait_for()
        assert "API key" in page.locator("#settings-why").inner_text()
        page.fill("#settings-form [name=key]", "sk-alice-0123456789")
        page.click("#settings-form .primary")
        until(page, "document.querySelector('#model').textContent !== ''")


def test_titles_and_deletion(visit):
    page = visit()
    set_up(page, max_tokens=2)
    say(page, "A title that is to be changed")
    page.locator("#conversations .menu summary").first.click()
    page.get_by_role("button", name="Rename").first.click()
    page.fill("dialog[open] input[type=text]", "Changed")
    page.keyboard.press("Enter")
    page.locator("#conversations .entry", has_text="Changed").wait_for()
    page.reload()
    entry = page.locator("#conversations .entry", has_text="Changed")
    entry.wait_for()
    page.locator("#conversations .menu summary").first.click()
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("button", name="Delete").last.click()
    entry.wait_for(state="detached")
    page.reload()
    until(page, "document.querySelector('#model').textContent !== ''")
    assert entry.count() == 0


def violations(page):
    from axe_playwright_python.sync_playwright import Axe
    found = Axe().run(page).response["violations"]
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(visit, scheme, width):
    page = visit(color_scheme=scheme, viewport={"width": width, "height": 844})
    assert violations(page) == []
    answer_with(page, "# Title\n\nText with a [link](https://example.org), `code`.\n\n```python\nx = 1\n```\n\n- a\n- b\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n#### Deep\n\n> said")
    say(page, "Hello")
    page.locator(".retry").click()
    page.locator(".answer .switcher").wait_for()
    settle(page)
    assert violations(page) == []
    picture(page, f"answer-{scheme}-{width}")
    for opener in ("#show-side", "#show-panel"):
        if page.locator(opener).is_visible():
            page.click(opener)
            page.wait_for_timeout(300)
            assert violations(page) == []
            picture(page, f"drawer{opener[5:]}-{scheme}-{width}")
            page.keyboard.press("Escape")
    page.click("#open-settings")
    assert violations(page) == []
    picture(page, f"settings-{scheme}-{width}")


def test_nothing_is_wider_than_a_phone(visit):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True)
    answer_with(page, "x" * 500 + "\n\n```\n" + "y" * 500 + "\n```\n\n|" + " column |" * 20 + "\n|" + "---|" * 20 + "\n|" + " c |" * 20)
    say(page, "z" * 300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = page.eval_on_selector_all("header *, main > *, .tools *", "nodes => nodes.map(n => n.getBoundingClientRect().right)")
    assert max(boxes) <= 390
    picture(page, "phone-wide")


def test_the_theme_can_be_chosen_and_is_kept(visit):
    page = visit(color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.click("#theme")
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    assert page.evaluate(background) == dark
