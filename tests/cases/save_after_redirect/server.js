// As express-session behind a slow store: the head of the redirect leaves at once, the session is saved after it, and
// the last byte of the body waits for that. A client that follows at the head asks before the session is there.
const http = require("http"), crypto = require("crypto"), saved = new Map();
http.createServer((req, res) => {
  if (req.url === "/health") return res.end("ok");
  const sid = /sid=(\w+)/.exec(req.headers.cookie || "")?.[1] || crypto.randomBytes(8).toString("hex");
  const count = () => saved.get(sid) || 0;
  if (req.method === "POST") {
    res.writeHead(303, { Location: "/count", "Content-Length": 2, "Set-Cookie": `sid=${sid}; Path=/` });
    res.write("o");
    setTimeout(() => { saved.set(sid, count() + 1); res.end("k"); }, 50);
  } else if (req.url === "/later") setTimeout(() => res.end(String(count())), 500);
  else res.end(String(count()));
}).listen(process.env.PORT, "127.0.0.1");
