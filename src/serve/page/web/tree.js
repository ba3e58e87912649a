// A conversation is a tree of turns: asking again or otherwise leaves what was there, and begins a branch beside it.

export class Turn {
  constructor(parent, question) {
    this.parent = parent; // null: the first
    this.question = question;
    this.children = [];
    this.id = null; // of the response, once the server has said it
    this.answer = "";
    this.status = "writing"; // then "completed", "incomplete", "stopped", "failed"
    this.note = ""; // why it is not completed
    this.about = null; // the memory's size and position, passages
    this.usage = null;
    this.steps = []; // inner steps while it was read and written, since the page was opened
    this.seen = 0; // when it was looked at: a branch is entered where it was left
  }
}

export class Tree {
  constructor() {
    this.top = []; // first turns
    this.leaf = null;
    this.clock = 0;
  }

  add(parent, question) {
    const turn = new Turn(parent, question);
    this.siblings(turn).push(turn);
    this.visit(turn);
    return turn;
  }

  siblings(turn) {
    return turn.parent ? turn.parent.children : this.top;
  }

  remove(turn) {
    const list = this.siblings(turn);
    list.splice(list.indexOf(turn), 1);
    if (this.path().includes(turn)) this.leaf = list.length ? this.end(list[list.length - 1]) : turn.parent;
  }

  /// The turns shown: from the first to the leaf.
  path() {
    const out = [];
    for (let turn = this.leaf; turn; turn = turn.parent) out.unshift(turn);
    return out;
  }

  /// Where one comes when one enters the branch that begins with `turn`.
  end(turn) {
    while (turn.children.length) turn = turn.children.reduce((a, b) => (b.seen > a.seen ? b : a));
    return turn;
  }

  visit(turn) {
    this.leaf = this.end(turn);
    const now = ++this.clock;
    for (let at = this.leaf; at; at = at.parent) at.seen = now;
  }

  /// Answers to the same question at the same place, and the questions asked there (each by the answer last seen).
  answers(turn) {
    return this.siblings(turn).filter((other) => other.question === turn.question);
  }
  questions(turn) {
    const last = new Map();
    for (const other of this.siblings(turn)) {
      const known = last.get(other.question);
      if (!known || other.seen > known.seen) last.set(other.question, other);
    }
    return [...last.values()];
  }

  /// Depth first: [turn, lane, lane of the parent]. A first child goes on in its parent's lane, each other one in a lane
  /// that nobody has yet.
  rows() {
    const out = [];
    let lanes = 0;
    const pending = this.top.map((turn) => [turn, -1, -1]).reverse();
    while (pending.length) {
      let [turn, lane, from] = pending.pop();
      if (lane < 0) lane = lanes++;
      out.push([turn, lane, from]);
      turn.children.map((child, i) => [child, i === 0 ? lane : -1, lane]).reverse().forEach((row) => pending.push(row));
    }
    return out;
  }

  /// From the responses of a conversation, oldest first.
  static of(responses) {
    const tree = new Tree(), turns = new Map();
    for (const response of responses) {
      const turn = tree.add(turns.get(response.previous_response_id) ?? null, textOf(response.input, "user"));
      turn.take(response);
      turns.set(response.id, turn);
    }
    return tree;
  }
}

function textOf(items, role) {
  return (items ?? []).filter((item) => item.type === "message" && item.role === role)
    .flatMap((item) => item.content).map((part) => part.text ?? "").join("");
}

/// What the server keeps of its turn: what may be gone on from.
Turn.prototype.remember = function (response) {
  this.id = response.id;
  this.usage = response.usage;
  this.about = response.ingrain ?? null;
};

/// What a response says of its turn.
Turn.prototype.take = function (response) {
  this.remember(response);
  this.answer = textOf(response.output, "assistant");
  this.status = response.status;
  if (response.status === "incomplete") {
    this.note = response.incomplete_details?.reason === "max_output_tokens"
      ? "It ended at the most tokens that the settings allow." : "Stopped.";
  }
  if (response.status === "completed" && this.answer.trim() === "") this.note = "It said nothing.";
  if (response.status === "failed") this.note = response.error?.message ?? "It failed.";
};
