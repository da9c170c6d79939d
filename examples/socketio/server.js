// A lobby: each socket counts what it says, in the memory of the process, and the others in the lobby receive it. With
// REDIS_URL, Socket.IO's Redis adapter passes it on to the sockets of the other processes.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const counts = new Map(); // by Socket.IO's id of the socket
const http = createServer((request, response) => {
  const id = new URL(request.url, "http://any").searchParams.get("id");
  if (request.url === "/health") return response.end("ok");
  response.writeHead(counts.has(id) ? 200 : 404).end(String(counts.get(id) ?? "no such socket"));
});
const io = new Server(http);
if (process.env.REDIS_URL) {
  const publisher = createClient({ url: process.env.REDIS_URL });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));
}
io.on("connection", (socket) => {
  socket.join("lobby");
  counts.set(socket.id, 0);
  socket.on("say", (message, acknowledge) => {
    counts.set(socket.id, counts.get(socket.id) + 1);
    socket.to("lobby").emit("said", message);
    acknowledge(counts.get(socket.id));
  });
});
http.listen(process.env.PORT, "127.0.0.1");
