// A counter in Express's session: in its memory store, or (REDIS_URL) in Redis.
import express from "express";
import session from "express-session";
import { RedisStore } from "connect-redis";
import { createClient } from "redis";

let store; // undefined: the memory store
if (process.env.REDIS_URL) {
  const client = createClient({ url: process.env.REDIS_URL });
  await client.connect();
  store = new RedisStore({ client });
}

const app = express();
app.get("/health", (request, response) => response.send("ok"));
app.use(session({ store, secret: "the same for all replicas", resave: false, saveUninitialized: false }));
app.post("/count", (request, response) => {
  request.session.count = (request.session.count ?? 0) + 1;
  response.json({ count: request.session.count });
});
app.get("/count", (request, response) => response.json({ count: request.session.count ?? 0 }));
app.listen(process.env.PORT, "127.0.0.1");
