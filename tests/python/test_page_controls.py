"""The page's keys, settings and looks, and whether those who cannot see it can use it."""
import pytest
from page_browser import answer_with, needs_chromium, picture, say, set_up, settle, until
from serving import Server

pytest_plugins = ["page_fixtures"]
pytestmark = needs_chromium


def violations(page):
    from axe_playwright_python.sync_playwright import Axe
    found = Axe().run(page).response["violations"]
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]


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
        page.context.close()  # before its server, which it goes on asking


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
