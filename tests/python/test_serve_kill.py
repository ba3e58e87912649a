"""kill -9 at any moment: whatever the server has acknowledged goes on to the last bit. INGRAIN_KILLS=200 for the whole study."""
import os
import random
import signal
import threading
import time

from serving import Server, wait_until

KILLS = int(os.environ.get("INGRAIN_KILLS", "4"))


class Talker(threading.Thread):
    """Asks, and asks again, each time going on from the newest response that was acknowledged."""

    def __init__(self, server, newest, i):
        super().__init__(daemon=True)
        self.server, self.newest, self.i = server, newest, i

    def run(self):
        turn = 0
        while True:
            body = {"input": f"Question {self.i}.{turn}?", "max_output_tokens": 4, "temperature": 0}
            if self.newest[self.i]:
                body["previous_response_id"] = self.newest[self.i]
            try:
                status, _, reply = self.server.request("POST", "/v1/responses", body)
            except OSError:
                return
            except Exception:  # a reply that was cut off acknowledges nothing
                return
            if status != 200:
                return
            self.newest[self.i] = reply["id"]
            turn += 1


QUESTION = 16  # tokens of "And then?" and what stands around it, at most: less than one exchange


def go_on(server, response):
    reply = server.post("/v1/responses", {"input": "And then?", "previous_response_id": response, "max_output_tokens": 6,
                                          "temperature": 0, "store": False})
    usage = reply["usage"]
    return reply["output"], usage["input_tokens"] - usage["input_tokens_details"]["cached_tokens"]


def test_what_was_acknowledged_survives_kill_9_and_goes_on_to_the_last_bit(tmp_path):
    randomly = random.Random(7)
    newest = [None] * 3
    goes_on_as = {}
    for round_ in range(KILLS):
        with Server(tmp_path / "store") as server:
            for response, (output, new) in goes_on_as.items():
                after_restart, new_now = go_on(server, response)
                assert text_of(after_restart) == text_of(output), f"after kill {round_}: {response}"
                # Asked twice of a living server, nothing is new; after a restart the question is.
                assert new_now <= max(new, QUESTION), "something acknowledged was read again"
            # What each conversation would be answered, asked of the living server.
            goes_on_as = {r: go_on(server, r) for r in newest if r}
            talkers = [Talker(server, newest, i) for i in range(len(newest))]
            for talker in talkers:
                talker.start()
            wait_until(lambda: all(newest))  # on a busy machine the first exchange may take a while
            time.sleep(randomly.uniform(0.2, 1.5))
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            for talker in talkers:
                talker.join(10)
    assert all(newest)
    with Server(tmp_path / "store") as server:
        for response in newest:
            _, new = go_on(server, response)
            assert new < 40, "an acknowledged conversation was read again"


def text_of(output):
    return "".join(part["text"] for item in output for part in item.get("content", []))
