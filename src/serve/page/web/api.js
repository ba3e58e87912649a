// The server's API, as the page uses it.
import { settings } from "./settings.js";

export class ApiError extends Error {
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function request(method, path, body, signal) {
  const headers = {}, form = body instanceof FormData;
  if (settings.key) headers.Authorization = `Bearer ${settings.key}`;
  if (body !== undefined && !form) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body === undefined || form ? body : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached.");
  }
  if (response.ok) return response;
  const text = await response.text();
  let told = {};
  try {
    told = JSON.parse(text).error ?? {};
  } catch {
    // no JSON: the status must do
  }
  throw new ApiError(response.status, told.message ?? `The server answered ${response.status}.`, told.code);
}

const call = async (method, path, body) => (await request(method, path, body)).json();

/// The JSON of each server-sent event, until the stream ends.
async function* events(response) {
  let rest = "";
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
    const pieces = (rest + part).split("\n\n");
    rest = pieces.pop();
    for (const piece of pieces) {
      const data = piece.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

async function* stream(path, body, signal) {
  yield* events(await request("POST", path, body, signal));
}

/// What a list has after the entry `after` ("": from its beginning), and where the next page begins ("": there is none).
async function page(path, after) {
  const mark = path.includes("?") ? "&" : "?";
  const { data, has_more, last_id } = await call("GET", `${path}${mark}limit=100${after && `&after=${encodeURIComponent(after)}`}`);
  return { data, next: has_more && data.length > 0 ? last_id : "" };
}

/// All of a list, page by page.
async function all(path) {
  const out = [];
  for (let after = ""; ;) {
    const { data, next } = await page(path, after);
    out.push(...data);
    if (!next) return out;
    after = next;
  }
}

const at = encodeURIComponent;

export const models = () => call("GET", "/v1/models");

export const conversations = {
  /// A page of them, the newest first.
  page: (after) => page("/v1/conversations?order=desc", after),
  create: (metadata) => call("POST", "/v1/conversations", { metadata }),
  update: (id, metadata) => call("POST", `/v1/conversations/${at(id)}`, { metadata }),
  remove: (id) => call("DELETE", `/v1/conversations/${at(id)}`),
  /// Answers that belong to it, oldest first, each with its `input`.
  responses: (id) => all(`/v1/conversations/${at(id)}/responses?order=asc`),
};

/// The events of an answer.
export const respond = (body, signal) => stream("/v1/responses", { ...body, stream: true, progress: true }, signal);

/// A response; null if the server does not know it.
export const response = (id) => call("GET", `/v1/responses/${at(id)}`).catch(() => null);

export const memories = {
  list: () => all("/v1/memories"),
  /// Files read into a new memory, as events. `from`: the memory it begins as a copy of, or "".
  read: (name, from, files, signal) => {
    const form = new FormData();
    form.append("name", name);
    if (from) form.append("from", from);
    form.append("stream", "true");
    for (const file of files) form.append("file", file, file.name);
    return stream("/v1/memories", form, signal);
  },
  keep: (name, response) => call("POST", "/v1/memories", { name, response }),
  rename: (id, name) => call("POST", `/v1/memories/${at(id)}`, { name }),
  remove: (id) => call("DELETE", `/v1/memories/${at(id)}`),
  /// null: it has none.
  notes: (id) => request("GET", `/v1/memories/${at(id)}/notes`).then((response) => response.blob(), (error) => {
    if (error.status === 404) return null;
    throw error;
  }),
  file: async (id) => (await request("GET", `/v1/memories/${at(id)}/content`)).blob(),
};
