"""The page at "/", in a headless Chromium against the real server: conversations, their branches, files that are read."""
from page_browser import needs_chromium, never_ends, picture, say, set_up, settle, until
from serving import Server

pytest_plugins = ["page_fixtures"]
pytestmark = needs_chromium

TEXT = "It was a bright morning, and the whole village had come to the harbour to see the ships go out. " * 120


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
    numbers = page.eval_on_selector_all("#tree button", "nodes => nodes.map(node => node.dataset.answer ?? '')")
    assert numbers == ["", "1/2", "2/2", ""]
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


def test_of_many_conversations_the_newest_are_listed_and_the_others_are_asked_for(visit, tmp_path):
    with Server(tmp_path / "store") as crowded:
        for i in range(103):
            crowded.post("/v1/conversations", {"metadata": {"title": f"number {i}"}})
        page = visit(crowded.url)
        entries = page.locator("#conversations .entry")
        until(page, "document.querySelectorAll('#conversations .entry').length === 100")
        assert entries.first.inner_text() == "number 102"
        page.click("#older")
        until(page, "document.querySelectorAll('#conversations .entry').length === 103")
        assert entries.last.inner_text() == "number 0" and not page.locator("#older").is_visible()
        with page.expect_response(lambda response: "/v1/memories" in response.url):
            set_up(page, max_tokens=2)  # asks for the list again: as much of it
        page.wait_for_timeout(200)
        assert entries.count() == 103


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
