// An MCP server with a tool that counts: per session in memory, also with an event store in Redis (EVENTS), or per user in
// Redis without sessions (STATELESS).
import { randomUUID } from "node:crypto";
import express from "express";
import { createClient } from "redis";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";

const url = process.env.STATELESS ?? process.env.EVENTS;
const redis = url ? await createClient({ url }).connect() : undefined;
const counts = new Map(), transports = new Map();

// The SDK's interface for replaying what a broken stream missed, here for all replicas together.
const eventStore = process.env.EVENTS && {
  async storeEvent(stream, message) {
    return `${stream}/${await redis.rPush(stream, JSON.stringify(message))}`;
  },
  async replayEventsAfter(last, { send }) {
    const [stream, position] = last.split("/");
    let next = Number(position);
    for (const message of await redis.lRange(stream, next, -1)) await send(`${stream}/${++next}`, JSON.parse(message));
    return stream;
  },
};

function counter() {
  const server = new McpServer({ name: "counter", version: "1.0.0" });
  const answer = (number) => ({ content: [{ type: "text", text: String(number) }] });
  server.registerTool("count", { description: "Count one more call" }, async ({ sessionId, requestInfo }) => {
    if (process.env.STATELESS) return answer(await redis.incr(requestInfo.headers["x-user"]));
    counts.set(sessionId, (counts.get(sessionId) ?? 0) + 1);
    return answer(counts.get(sessionId));
  });
  server.registerTool("total", { description: "Say how many were counted" }, async ({ sessionId, requestInfo }) =>
    answer((process.env.STATELESS ? await redis.get(requestInfo.headers["x-user"]) : counts.get(sessionId)) ?? 0),
  );
  return server;
}

async function begin(stateless) {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: stateless ? undefined : randomUUID,
    eventStore,
    onsessioninitialized: (id) => transports.set(id, transport),
  });
  await counter().connect(transport);
  return transport;
}

const app = express();
app.get("/health", (request, response) => response.send("ok"));
app.use(express.json());
app.post("/mcp", async (request, response) => {
  const id = request.headers["mcp-session-id"];
  if (id && !process.env.STATELESS && !transports.has(id)) {
    const error = { code: -32001, message: "Session not found" };
    return response.status(404).json({ jsonrpc: "2.0", error, id: null });
  }
  const transport = transports.get(id) ?? (await begin(process.env.STATELESS));
  await transport.handleRequest(request, response, request.body);
});
app.listen(process.env.PORT, "127.0.0.1");
