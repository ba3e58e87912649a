// The AI SDK with its provider for compatible servers: prints what it saw as JSON.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";

const provider = createOpenAICompatible({
  name: "ingrain", baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, includeUsage: true,
});
const ask = { model: provider(process.env.MODEL), prompt: "Who is Harriet?", maxOutputTokens: 10, temperature: 0, maxRetries: 0 };
const whole = await generateText(ask);
const stream = streamText(ask);
let streamed = "";
for await (const piece of stream.textStream) streamed += piece;
console.log(JSON.stringify({
  whole: whole.text, streamed, reason: await stream.finishReason, output_tokens: (await stream.usage).outputTokens,
}));
