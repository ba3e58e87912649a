"""Pages with charts, in a headless Chromium that reaches nothing: they are drawn, and nothing is asked of elsewhere."""
import pathlib

import pytest
from conftest import ROOT
from page_browser import SHOTS, WAIT, needs_chromium

pytest_plugins = ["page_fixtures"]
pytestmark = needs_chromium
REPORTS = sorted((ROOT / "docs" / "report").glob("*.html"))


def opened(chromium, file, scheme="light"):
    """The page with its charts drawn."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900}, color_scheme=scheme, offline=True)
    context.set_default_timeout(WAIT)
    page = context.new_page()
    wrong, asked = [], []
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_function("[...document.querySelectorAll('figure')].every((f) => f.querySelector('svg'))")
    assert not wrong, wrong
    assert asked == [file.as_uri()], "the page needs nothing from elsewhere"
    if SHOTS:
        page.screenshot(path=pathlib.Path(SHOTS) / f"{file.stem}-{scheme}.png", full_page=True)
    return page


def drawn(page, figure, mark):
    """Marks of a chart that take up room: what they look like to who sees them."""
    return page.evaluate(
        """([figure, mark]) => [...document.querySelectorAll('figure')[figure].querySelectorAll(`.mark-${mark} path`)]
             .map((path) => path.getBoundingClientRect()).filter((box) => box.width > 20).length""",
        [figure, mark],
    )


def colours(page, figure):
    """How many pixels of a chart's picture have each colour, of those that are no grey."""
    return page.evaluate(
        """async (figure) => {
             const svg = document.querySelectorAll('figure')[figure].querySelector('svg'), image = new Image();
             image.src = 'data:image/svg+xml,' + encodeURIComponent(new XMLSerializer().serializeToString(svg));
             await image.decode();
             const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
             const to = canvas.getContext('2d'), counts = {};
             to.drawImage(image, 0, 0);
             const data = to.getImageData(0, 0, canvas.width, canvas.height).data;
             for (let i = 0; i < data.length; i += 4) {
               const rgb = [...data.slice(i, i + 3)];
               if (data[i + 3] == 255 && Math.max(...rgb) - Math.min(...rgb) > 40) counts[rgb] = (counts[rgb] ?? 0) + 1;
             }
             return counts;
           }""",
        figure,
    )


def test_the_demos_page(ingrain, chromium, tmp_path):
    done = ingrain("demo", "--tokens", "3000", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file = tmp_path / "ingrain-demo" / "report.html"
    for scheme in ("light", "dark"):
        page = opened(chromium, file, scheme)
        assert page.locator("figure svg").count() == 1
        assert drawn(page, 0, "line") >= 2, "a line for each way of reading"
        text = page.locator("figure").inner_text()
        for words in ("learning on", "learning off", "tokens read", "nats a token"):
            assert words in text, text
        seen = colours(page, 0)
        assert len([colour for colour, pixels in seen.items() if pixels > 200]) >= 2, f"both lines are there to see: {seen}"


@pytest.mark.skipif(not REPORTS, reason="no report is there")
@pytest.mark.parametrize("file", REPORTS, ids=lambda file: file.stem)
def test_a_committed_report(chromium, file):
    page = opened(chromium, file)
    figures = page.locator("figure").count()
    assert figures >= 4 and page.locator("figure svg").count() == figures
    assert drawn(page, 0, "line") >= 3, "the rivals' losses"
    assert "cannot be drawn" not in page.locator("body").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out to the right"
