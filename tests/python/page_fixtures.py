"""A headless Chromium at the page of a real server: name this module in `pytest_plugins`."""
import pytest
from page_browser import CHROMIUM, WAIT, sync_api, until
from serving import Server


@pytest.fixture(scope="module")
def page_server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture(scope="module")  # an event loop runs as long as Playwright does, and other files run their own
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(page_server, chromium):
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
        page.goto(url or page_server.url)
        if not expect:
            until(page, "document.querySelector('#model').textContent !== ''")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not wrong, wrong
