// npm's openai against the server: prints what it saw as JSON.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const model = process.env.MODEL;
const ask = { model, messages: [{ role: "user", content: "Who is Mr. Knightley?" }], max_tokens: 10, temperature: 0 };

const whole = await client.chat.completions.create(ask);
let streamed = "";
for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
}
const first = await client.responses.create({ model, input: "Hello", max_output_tokens: 5 });
const second = await client.responses.create({ model, input: "Again", previous_response_id: first.id, max_output_tokens: 5 });
const events = [];
for await (const event of await client.responses.create({ model, input: "Hi", max_output_tokens: 5, stream: true })) {
  events.push(event.type);
}
let error = null;
try {
  await client.chat.completions.create({ ...ask, model: "gpt-4" });
} catch (e) {
  error = e.code;
}
console.log(JSON.stringify({
  whole: whole.choices[0].message.content, streamed, events, error,
  cached: second.usage.input_tokens_details.cached_tokens,
}));
