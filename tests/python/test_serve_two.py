"""Two servers, one PostgreSQL, one folder of tensors: a conversation goes on from either, and from one when the other is killed."""
import concurrent.futures
import json
import signal

import postgresql
import pytest
from serving import READER, Server, wait_until

CONVERSATIONS = 50
CALM = {"temperature": 0, "max_output_tokens": 3}
LEASE = 2  # seconds
LONG = " ".join(f"The {i}th day was like the {i + 1}th, and nobody wrote down what was said." for i in range(400))

pytestmark = pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing() or "there")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with postgresql.Postgresql() as database:
        yield f"{tmp_path_factory.mktemp('two') / 'tensors'}={database.url}"


def serving(store):
    return Server(store, "--lease", LEASE)


def together(work, items, threads=6):
    """work(item) of all items, several at once; at most so many that rows of a batch give the bits that they give alone."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def said(response):
    return "".join(part["text"] for item in response["output"] for part in item.get("content", []))


def items_of(server, conversation):
    out, after = [], ""
    while True:
        page = server.request("GET", f"/v1/conversations/{conversation}/items?order=asc&limit=100{after}")[2]
        out += page["data"]
        if not page["has_more"]:
            return out
        after = f"&after={page['last_id']}"


def texts_of(items):
    return [(item["role"], "".join(part["text"] for part in item["content"])) for item in items]


class Conversation:
    """What a client knows: the turns that were acknowledged to it."""

    def __init__(self, server, number):
        self.number = number
        self.id = server.post("/v1/conversations", {})["id"]
        self.turns = []  # (question, response)

    def question(self):
        return f"Question {self.number}.{len(self.turns)}?"

    def ask(self, server):
        """A turn; the client asks again while another server has the conversation."""
        question = self.question()
        body = {"conversation": self.id, "input": question, **CALM}
        reply = []

        def answered():
            status, _, answer = server.request("POST", "/v1/responses", body)
            assert status in (200, 409), answer
            reply[:] = [answer]
            return status == 200

        wait_until(answered, 60)
        self.acknowledge(question, reply[0])

    def acknowledge(self, question, response):
        usage = response["usage"]
        if self.turns:
            before = self.turns[-1][1]["usage"]
            # All that was read and written before is part of what is gone on from, and none of it is read again.
            assert usage["input_tokens"] > before["input_tokens"] + before["output_tokens"], "a memory forked"
            assert usage["input_tokens_details"]["cached_tokens"] >= before["input_tokens"], "read again"
        self.turns.append((question, response))

    def known(self):
        """The items that it must have."""
        return [pair for question, response in self.turns for pair in (("user", question), ("assistant", said(response)))]

    def check(self, server, in_flight=None):
        """Nothing acknowledged is lost. A turn that was in work when its server was killed is there as a whole, or not."""
        items = texts_of(items_of(server, self.id))
        known = self.known()
        assert items[:len(known)] == known
        rest = items[len(known):]
        assert not rest or (in_flight and len(rest) == 2 and rest[0] == ("user", in_flight))
        return rest


def begin_stream(server, body):
    """A stream whose first event has come: (its events, what has come)."""
    events = server.events("/v1/responses", {**body, "stream": True, "progress": True})
    return events, [next(events)]


def rest_of(events, seen):
    """All events, as far as they come."""
    try:
        seen += events
    except Exception:  # cut off amid whatever
        pass
    return seen


def end_of(seen):
    """The response that was acknowledged, or None."""
    last = seen[-1][1]
    return last.get("response") if isinstance(last, dict) and last["type"] in ("response.completed", "response.incomplete") else None


def test_fifty_conversations_go_on_from_either_server_and_one_is_killed(store, tmp_path):
    with serving(store) as left, serving(store) as right:
        servers = [left, right]
        conversations = [Conversation(servers[i % 2], i) for i in range(CONVERSATIONS)]
        for turn in range(3):
            together(lambda c, turn=turn: c.ask(servers[(c.number + turn) % 2]), conversations)

        # Some are answered by the one that is killed.
        streaming = [c for c in conversations if c.number % 10 == 0]
        streams = [begin_stream(right, {"conversation": c.id, "input": c.question(), "temperature": 0, "max_output_tokens": 400})
                   for c in streaming]
        right.process.send_signal(signal.SIGKILL)
        right.process.wait()
        in_flight = {}
        for conversation, (events, seen) in zip(streaming, streams):
            response = end_of(rest_of(events, seen))
            if response:
                conversation.acknowledge(conversation.question(), response)
            else:
                in_flight[conversation.number] = conversation.question()

        # All go on at the other one, those of the lost server once its leases have ended.
        for conversation in conversations:
            rest = conversation.check(left, in_flight.get(conversation.number))
            if rest:  # it was kept, but nobody was told
                conversation.turns.append((rest[0][1], {"output": [{"content": [{"text": rest[1][1]}]}],
                                                        "usage": {"input_tokens": 0, "output_tokens": 0}}))
        together(lambda c: c.ask(left), conversations)
        for conversation in conversations:
            assert not conversation.check(left)

    # A third server, which has seen none of it, and one alone: what was answered by turns is what one would have answered.
    with serving(store) as third, Server(tmp_path / "alone") as alone:
        together(lambda c: c.ask(third), conversations)
        for conversation in [c for c in conversations if c not in streaming][:6]:
            same = Conversation(alone, conversation.number)
            while len(same.turns) < len(conversation.turns):
                same.ask(alone)
            assert same.known() == conversation.known()


def reading(server, conversation, text):
    """A stream that is reading its question."""
    events, seen = begin_stream(server, {"conversation": conversation, "input": text, **CALM})
    while "reading" not in seen[-1][1] and not end_of(seen):
        seen.append(next(events))
    return events, seen


def test_a_conversation_is_one_servers_while_it_answers(store):
    with serving(store) as left, serving(store) as right:
        conversation = left.post("/v1/conversations", {})["id"]
        left.post("/v1/responses", {"conversation": conversation, "input": "Hello.", **CALM})
        text = LONG
        while True:
            events, seen = reading(left, conversation, text)
            status, headers, reply = right.request("POST", "/v1/responses", {"conversation": conversation, "input": "Me, too.", **CALM})
            if status == 409:
                break
            assert end_of(rest_of(events, seen)), reply  # it was over by then: a longer one
            text += LONG
        assert reply["error"]["code"] == "conversation_locked" and headers["Retry-After"]
        assert end_of(rest_of(events, seen))
        right.post("/v1/responses", {"conversation": conversation, "input": "And now?", **CALM})
        assert [text for role, text in texts_of(items_of(left, conversation)) if role == "user"][-1] == "And now?"


def test_a_server_that_slept_past_its_lease_keeps_nothing_of_that_conversation(store):
    with serving(store) as sleepy, serving(store) as awake:
        conversation = awake.post("/v1/conversations", {})["id"]
        awake.post("/v1/responses", {"conversation": conversation, "input": "Hello.", **CALM})
        events, seen = reading(sleepy, conversation, LONG)
        sleepy.process.send_signal(signal.SIGSTOP)
        try:
            status = [0]

            def went_on():
                status[0], _, _ = awake.request("POST", "/v1/responses", {"conversation": conversation, "input": "And then?", **CALM})
                return status[0] == 200

            wait_until(went_on, 60)
        finally:
            sleepy.process.send_signal(signal.SIGCONT)
        told = end_of(rest_of(events, seen))
        questions = [text for role, text in texts_of(items_of(awake, conversation)) if role == "user"]
        # Told or not, it is before the other's, since it was over before it slept; or it isn't there.
        assert questions in (["Hello.", "And then?"], ["Hello.", LONG, "And then?"])
        assert told is None or LONG in questions
        last = [json.dumps(data) for _, data in seen[-2:]]
        assert told or any("conversation_locked" in data for data in last), last
        awake.post("/v1/responses", {"conversation": conversation, "input": "So?", **CALM})
