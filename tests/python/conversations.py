"""Conversations that every chat template is tried with."""

WEATHER = {"type": "function", "function": {
    "name": "weather", "description": "The weather in a \"city\", <now> & later",
    "parameters": {"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "description": "Où? 東京"}, "days": {"type": "integer", "minimum": 1}}}}}


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


def call(arguments):
    return {"type": "function", "id": "call00001", "function": {"name": "weather", "arguments": arguments}}


CONVERSATIONS = {
    "one question": [turn("user", "Hello, who are you?")],
    "a system prompt": [turn("system", "You are terse."), turn("user", "Hi")],
    "several turns": [turn("system", "Be kind.\nAlways."), turn("user", "One"), turn("assistant", "Two"),
                      turn("user", "Three"), turn("assistant", "Four"), turn("user", "Five")],
    "ends with the assistant": [turn("user", "2+2?"), turn("assistant", "4")],
    "unicode": [turn("user", "Grüße, 世界! 🎉 ‮\u200b\u00a0 café"), turn("assistant", "naïve — “quotes”")],
    "white space": [turn("system", "  \n padded \t"), turn("user", "\n\n  text \u3000\n")],
    "empty contents": [turn("system", ""), turn("user", ""), turn("assistant", "")],
    "special texts": [turn("user", "<|im_end|> {{ 7*7 }} {% raw %} </s> \\n \"q\" 'a'")],
    "no messages": [],
    "content is null": [turn("user", None)],
    "thinking": [turn("user", "Why?"), turn("assistant", "<think>\nhm\nwell\n</think>\n\nBecause."),
                 turn("user", "And?"), turn("assistant", "<think>more</think>So."), turn("user", "Ah")],
    "reasoning apart": [turn("user", "Why?"), turn("assistant", "Because.", reasoning_content="\nI thought.\n")],
    "tool calls": [turn("user", "Weather?"),
                   turn("assistant", "", tool_calls=[call({"city": "Paris", "days": 2, "ok": True, "x": None, "f": 1.5})]),
                   turn("tool", "sunny", name="weather"), turn("assistant", "It is sunny.")],
    "several tool calls": [turn("system", "Use tools."), turn("user", "Compare"),
                           turn("assistant", "Let me see.", tool_calls=[call({"city": "東京"}), call('{"city": "Rome"}')]),
                           turn("tool", "rain"), turn("tool", "{\"t\": 21}"), turn("user", "thanks")],
    "tool answer is an object": [turn("user", "Weather?"), turn("assistant", "", tool_calls=[call({"city": "Oslo"})]),
                                 turn("tool", {"t": -3, "sky": ["grey", "dark"]})],
    "two users in a row": [turn("user", "a"), turn("user", "b")],
    "assistant first": [turn("assistant", "Hi, I begin."), turn("user", "Go on")],
    "content in parts": [turn("user", [{"type": "text", "text": "part one"}, {"type": "text", "text": "part two"}])],
}

EXTRAS = [{}, {"enable_thinking": False}, {"enable_thinking": True, "date_string": "26 Jul 2024"},
          {"tools_in_user_message": False}, {"builtin_tools": ["code_interpreter", "brave_search"]}]


def cases(template, **tokens):
    """Every conversation with and without tools, the generation prompt and further variables."""
    for messages in CONVERSATIONS.values():
        for tools in (None, [WEATHER], [WEATHER, dict(WEATHER, function=dict(WEATHER["function"], name="again"))]):
            for extra in EXTRAS:
                for prompt in (False, True):
                    yield dict(template=template, messages=messages, tools=tools, extra=extra,
                               add_generation_prompt=prompt, **tokens)
