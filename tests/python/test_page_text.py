"""What a model writes, on the page: formatted, and never more than text, however hostile or long it is."""
import pytest
from page_browser import answer_with, needs_chromium, picture, say, settle

pytest_plugins = ["page_fixtures"]
pytestmark = needs_chromium

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


def tags(page):
    return set(page.eval_on_selector_all(".answer .markdown *", "nodes => nodes.map(node => node.tagName.toLowerCase())"))


def hrefs(page):
    return page.eval_on_selector_all(".answer .markdown a", "nodes => nodes.map(node => [node.protocol, node.rel, node.target])")


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
def test_a_third_of_a_million_characters_leave_the_page_alive(visit, name, piece):
    page = visit()
    answer_with(page, piece * (333_000 // len(piece)))
    page.evaluate("window.begin = performance.now()")
    page.fill("#say", name)
    page.press("#say", "Enter")
    page.locator(".answer").wait_for()
    settle(page)
    assert page.evaluate("performance.now() - window.begin") < 40_000
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
