"""JSON Schema as a mask over tokens, against the package jsonschema: what a grammar lets a model write satisfies the
schema, what satisfies it (in the order of `properties`) may be written, and what does not may not."""
import functools
import json
import random

import jsonschema
import pytest

from conftest import ROOT, runner

FIXTURE = ROOT / "tests" / "fixtures" / "tokenizers" / "qwen.json"
MODEL = ROOT / "models" / "reader-17m"
ANY = ["null", True, 5, -3.25, "x", [], {}, [1, "a"], {"k": None}]


def probe(command, lines, tokenizer=FIXTURE, *args):
    stdin = "".join(json.dumps(line) + "\n" for line in lines).encode()
    out = runner("grammar_probe")(command, tokenizer, *args, stdin=stdin)
    return [json.loads(line) for line in out.decode().split("\n") if line]


class Schemas:
    """Random schemas of the supported subset, and values that satisfy them (members in the schema's order)."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.defs = {}

    def text(self, low=0, high=6):
        pool = "abXY 09_-\"\\/\n\té日👍\x7f\u2028"
        return "".join(self.rng.choice(pool) for _ in range(self.rng.randint(low, high)))

    def schema(self, depth=3):
        kinds = ["string", "integer", "number", "boolean", "null", "enum", "const", "any"]
        if depth > 0:
            kinds += ["object"] * 4 + ["array"] * 3 + ["anyOf", "types", "ref", "tuple"]
        return getattr(self, self.rng.choice(kinds) + "_")(depth)

    def any_(self, _):
        return self.rng.choice([{}, True])

    def string_(self, _):
        out = {"type": "string"}
        if self.rng.random() < 0.5:
            out["minLength"] = self.rng.randint(0, 3)
        if self.rng.random() < 0.5:
            out["maxLength"] = out.get("minLength", 0) + self.rng.randint(0, 8)
        return out

    def bounds(self, out, number):
        low = number()
        for keyword in self.rng.sample(["minimum", "exclusiveMinimum"], self.rng.randint(0, 1)):
            out[keyword] = low
        for keyword in self.rng.sample(["maximum", "exclusiveMaximum"], self.rng.randint(0, 1)):
            out[keyword] = low + 2 + abs(number())
        return out

    def integer_(self, _):
        return self.bounds({"type": "integer"}, lambda: self.rng.choice([0, 1, -1, 7, -120, 99, 12345, 10 ** 12, 2.5, -0.5]))

    def number_(self, _):
        return self.bounds({"type": "number"}, lambda: self.rng.choice([0, 1, -1, 0.1, -2.5, 100, 1e-3, 12345.678, -1e6, 1e-7]))

    def boolean_(self, _):
        return {"type": "boolean"}

    def null_(self, _):
        return {"type": "null", "title": "nothing"}

    def enum_(self, _):
        return {"enum": self.rng.sample(["a", "ab", "", "é\n\"", 1, 12, -1.5, True, None, [1, {"x": []}], {"k": "v"}], 4)}

    def const_(self, _):
        return {"const": self.rng.choice(["a", 17, None, {"x": [1, "y"]}, 0.5, ""])}

    def object_(self, depth):
        names = self.rng.sample(["a", "ab", "b", "name", "é", "x y", "\"q\"", "k\n"], self.rng.randint(0, 4))
        out = {"type": "object", "properties": {name: self.schema(depth - 1) for name in names}}
        out["required"] = [name for name in names if self.rng.random() < 0.5]
        more = self.rng.choice([False, False, None, "schema"])
        if more is not None:
            out["additionalProperties"] = more and self.schema(depth - 1)
        return out

    def array_(self, depth):
        out = {"type": "array"}
        if self.rng.random() < 0.9:
            out["items"] = self.schema(depth - 1)
        if self.rng.random() < 0.5:
            out["minItems"] = self.rng.randint(0, 2)
        if self.rng.random() < 0.5:
            out["maxItems"] = out.get("minItems", 0) + self.rng.randint(0, 3)
        return out

    def tuple_(self, depth):
        return {"type": "array", "prefixItems": [self.schema(depth - 1) for _ in range(self.rng.randint(1, 3))],
                "items": self.rng.choice([False, self.schema(depth - 1)])}

    def anyOf_(self, depth):
        return {"anyOf": [self.schema(depth - 1) for _ in range(self.rng.randint(1, 3))]}

    def types_(self, _):
        return {"type": self.rng.sample(["string", "integer", "boolean", "null", "number"], 2), "maxLength": 4}

    def ref_(self, depth):
        name = f"d{len(self.defs)}"
        self.defs[name] = {"type": "null"}  # so that deeper ones take other names
        self.defs[name] = self.rng.choice([
            lambda: self.schema(depth - 1),
            lambda: {"type": "object", "properties": {"v": self.schema(0), "next": {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]}},
                     "required": ["v"], "additionalProperties": False}])()
        return {"$ref": f"#/$defs/{name}"}

    def whole(self):
        self.defs = {}
        schema = self.schema()
        if isinstance(schema, dict) and self.defs:
            schema = {**schema, "$defs": self.defs}
        return schema

    def value(self, schema, depth=4):
        """A value that satisfies the schema, or LookupError where none is found."""
        if schema is True or schema == {} or not set(schema) - {"$defs"}:
            return self.rng.choice(ANY)
        if schema is False:
            raise LookupError
        if "$ref" in schema:
            return self.value(self.defs[schema["$ref"].rsplit("/", 1)[1]], depth - 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        if "anyOf" in schema:
            return self.value(self.rng.choice(schema["anyOf"]), depth - 1)
        if depth < -20:
            raise LookupError
        kind = schema["type"] if isinstance(schema["type"], str) else self.rng.choice(schema["type"])
        return {"string": self.a_string, "integer": self.a_number, "number": self.a_number, "object": self.an_object,
                "array": self.an_array, "boolean": lambda *_: self.rng.random() < 0.5, "null": lambda *_: None}[kind](schema, kind, depth)

    def a_string(self, schema, _, __):
        low = schema.get("minLength", 0)
        return self.text(low, schema.get("maxLength", low + 6))

    def a_number(self, schema, kind, _):
        bounds = [schema[k] for k in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum") if k in schema]
        for _ in range(50):
            base = self.rng.choice(bounds or [0, 1, -7, 123])
            number = base + self.rng.choice([0, 1, -1, 0.5, 0.25, 3, -2, 10])
            number = int(number) if kind == "integer" else round(number, 6)
            one = {**schema, "type": kind}
            if jsonschema.Draft202012Validator(one).is_valid(number) and not (bounds and "e" in repr(number)):
                return number
        raise LookupError

    def an_object(self, schema, _, depth):
        out = {}
        for name, value in schema.get("properties", {}).items():
            if name in schema.get("required", []) or (depth > 0 and self.rng.random() < 0.5):
                out[name] = self.value(value, depth - 1)
        more = schema.get("additionalProperties", True)
        if more is not False and depth > 0 and self.rng.random() < 0.5:
            for name in {"z" + self.text(0, 3) for _ in range(2)}:
                out[name] = self.value(more, depth - 1)
        return out

    def an_array(self, schema, _, depth):
        prefix, items = schema.get("prefixItems", []), schema.get("items", True)
        low = schema.get("minItems", 0)
        high = schema.get("maxItems", low + (2 if depth > 0 else 0))
        count = self.rng.randint(low, max(low, high if items is not False else min(high, len(prefix))))
        return [self.value(prefix[i] if i < len(prefix) else items, depth - 1) for i in range(count)]


def spellings(value, schema):
    """Names and constants of the schema are written without needless escapes."""
    if json.dumps(schema, ensure_ascii=False).isascii():
        yield json.dumps(value)
    yield json.dumps(value, ensure_ascii=False)
    yield json.dumps(value, indent=2, ensure_ascii=False)
    yield json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@functools.cache
def schemas():
    made = Schemas(20)
    out = []
    for _ in range(400):
        schema = made.whole()
        out.append((schema, dict(made.defs)))
    return out


def is_valid(schema, value):
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize("tokenizer", [FIXTURE, MODEL], ids=["small", "model"])
def test_what_the_mask_lets_a_model_write_satisfies_the_schema(tokenizer):
    chosen = [schema for schema, _ in schemas()][: 400 if tokenizer == FIXTURE else 60]
    answers = probe("walk", [{"schema": schema} for schema in chosen], tokenizer, 5, 12)
    ended = texts = 0
    for schema, answer in zip(chosen, answers):
        if "refused" in answer:
            assert "no number" in answer["refused"] or "no text" in answer["refused"], (schema, answer)
            continue
        assert answer["dead_ends"] == 0, schema
        for text in answer["texts"]:
            texts += 1
            if text is None:
                continue
            ended += 1
            pairs = []
            value = json.loads(text, object_pairs_hook=lambda p: pairs.append([k for k, _ in p]) or dict(p))
            assert all(len(names) == len(set(names)) for names in pairs), text
            text.encode()  # no half of a surrogate pair
            assert is_valid(schema, value), (schema, text)
    assert texts > len(chosen) * 10 and ended > texts * 0.9, (ended, texts)


def test_what_satisfies_the_schema_may_be_written():
    questions, made = [], Schemas(21)
    for schema, made.defs in schemas():
        texts = set()
        for _ in range(8):
            try:
                value = made.value(schema)
            except LookupError:
                continue
            if is_valid(schema, value):
                texts.update(spellings(value, [schema, made.defs]))
        questions.append({"schema": schema, "texts": sorted(texts)})
    checked = 0
    for question, answer in zip(questions, probe("check", questions)):
        if "refused" in answer:
            assert not question["texts"], (question, answer)
            continue
        for text, accepted in zip(question["texts"], answer["accepted"]):
            assert accepted, (question["schema"], text)
            checked += 1
    assert checked > 4000


def mutated(rng, text):
    at = rng.randrange(len(text) + 1)
    return rng.choice([text[:at] + text[at + 1:], text[:at] + rng.choice("{}[]\",:01-.eatn \\\n") + text[at:], text[:at],
                       text.replace("1", "12", 1), text.replace('"', '"x', 1), text + rng.choice("} ],0")])


def test_what_does_not_satisfy_the_schema_may_not_be_written():
    rng, questions, made = random.Random(22), [], Schemas(23)
    for schema, made.defs in schemas():
        texts = [json.dumps(value) for value in ANY]
        for _ in range(4):
            try:
                text = json.dumps(made.value(schema), ensure_ascii=rng.random() < 0.5)
            except LookupError:
                continue
            texts += [mutated(rng, text) for _ in range(6)]
        other = rng.choice(schemas())
        made.defs, kept = other[1], made.defs
        try:
            texts.append(json.dumps(made.value(other[0])))
        except LookupError:
            pass
        made.defs = kept
        questions.append({"schema": schema, "texts": texts})
    rejected = 0
    for question, answer in zip(questions, probe("check", questions)):
        for text, accepted in zip(question["texts"], answer.get("accepted", [])):
            try:
                valid = is_valid(question["schema"], json.loads(text))
            except ValueError:
                valid = False
            assert valid or not accepted, (question["schema"], text)
            rejected += not accepted
    assert rejected > 4000


def test_a_pydantic_like_schema_with_a_tag_and_a_recursion():
    schema = {"$defs": {"Leaf": {"type": "object", "title": "Leaf", "properties": {"kind": {"const": "leaf", "title": "Kind", "type": "string"},
                                                                                     "value": {"type": "number", "minimum": 0, "maximum": 1}},
                                 "required": ["kind", "value"], "additionalProperties": False},
                        "Node": {"type": "object", "properties": {"kind": {"const": "node", "type": "string"},
                                                                   "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}, "maxItems": 3}},
                                 "required": ["kind", "children"], "additionalProperties": False},
                        "Tree": {"oneOf": [{"$ref": "#/$defs/Leaf"}, {"$ref": "#/$defs/Node"}],
                                 "discriminator": {"propertyName": "kind", "mapping": {"leaf": "#/$defs/Leaf"}}}},
              "$ref": "#/$defs/Tree"}
    (answer,) = probe("walk", [{"schema": schema}], MODEL, 3, 200)
    texts = [text for text in answer["texts"] if text is not None]
    assert len(texts) > 150 and answer["dead_ends"] == 0
    assert all(is_valid(schema, json.loads(text)) for text in texts)
    assert any('"node"' in text for text in texts) and any('"leaf"' in text for text in texts)
