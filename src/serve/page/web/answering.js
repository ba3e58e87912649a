// One answer, from the request to its end: what its events mean for a turn.
import * as api from "./api.js";
import { requestOptions } from "./settings.js";

/// Where the turn's memory begins: what the nearest answer before it left. Turns between that were not kept are said
/// again.
function beginning(turn) {
  const said = [{ role: "user", content: turn.question }];
  let at = turn.parent;
  for (; at && !at.id; at = at.parent) {
    if (at.answer) said.unshift({ role: "assistant", content: at.answer });
    said.unshift({ role: "user", content: at.question });
  }
  return { input: said, ...(at && { previous_response_id: at.id }) };
}

/// Writes `turn` of `conversation`. `told`: {text(delta), progress(text), step(step), about(about)}. Never throws, but for
/// an ApiError with status 401: the turn then is as if it had not been begun.
export async function answer(conversation, turn, signal, told) {
  const from = beginning(turn);
  const body = {
    ...requestOptions(Boolean(conversation.memory)), ...from, thread: conversation.id,
    ...(!from.previous_response_id && conversation.memory && { memory: conversation.memory }),
  };
  let id = null;
  try {
    for await (const event of api.respond(body, signal)) {
      if (event.type === "response.created") id = event.response.id;
      else if (event.type === "response.output_text.delta") {
        turn.answer += event.delta;
        told.text(event.delta);
      } else if (event.type === "response.reasoning_text.delta") {
        told.progress("Thinking…");
      } else if (event.type === "response.ingrain.progress") {
        if (event.step) told.step(event.step);
        if (event.reading && event.reading.read < event.reading.of) told.progress(`Reading ${event.reading.read} of ${event.reading.of} tokens…`);
      } else if (["response.completed", "response.incomplete", "response.failed"].includes(event.type)) {
        turn.take(event.response);
        if (turn.about) told.about(turn.about);
      } else if (event.type === "error") {
        throw new api.ApiError(500, event.message, event.code);
      }
    }
    if (turn.status === "writing") throw new api.ApiError(0, "The answer broke off.");
  } catch (error) {
    if (error.status === 401) throw error;
    const stopped = error.name === "AbortError";
    turn.status = stopped ? "stopped" : "failed";
    turn.note = stopped ? "Stopped." : error.message;
    // The server keeps what was written until it was stopped; where it does not, it is said again with the next turn.
    const response = stopped && id ? await kept(id) : null;
    if (!response) return;
    turn.remember(response);
    if (turn.about) told.about(turn.about);
  }
}

/// The response, or null if the server has not kept it.
async function kept(id) {
  for (const pause of [100, 400, 1000]) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    const response = await api.response(id);
    if (response) return response;
  }
  return null;
}
