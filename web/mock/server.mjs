// A node that is not there: answers the dashboard's API, WebSocket and preview with made-up
// figures, so that the dashboard can be built and tested without the program.
//
//   node mock/server.mjs [--port 8080] [--flv-port 1935] [--token TOKEN] [--empty]
//
// It needs ffmpeg, for the pictures of the preview.
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { answerApi } from "./api.mjs";
import { serveFile } from "./files.mjs";
import { Film } from "./film.mjs";
import { Model } from "./model.mjs";
import { Sockets } from "./sockets.mjs";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "8080" },
    "flv-port": { type: "string", default: "1935" },
    token: { type: "string", default: "mock" },
    "read-token": { type: "string", default: "mock-read" },
    empty: { type: "boolean", default: false },
  },
});

const [demo, bars] = await Promise.all([Film.make("demo"), Film.make("bars")]);
const films = { "live/demo": demo, "live/studio": bars };
const model = new Model(Number(options["flv-port"]), options.empty);
const rights = (token) => {
  if (token === options.token) return "write";
  return token === options["read-token"] ? "read" : "none";
};

const http = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://node");
  if (pathname.startsWith("/api/")) return void answerApi(request, response, model, rights);
  if (pathname === "/healthz") return response.end("ok\n");
  return serveFile(request, response, Number(options["flv-port"]));
});
const sockets = new Sockets(model, rights);
http.on("upgrade", (request, socket) => sockets.accept(request, socket));

const flv = createServer((request, response) => {
  const name = new URL(request.url, "http://node").pathname.slice(1).replace(/\.flv$/, "");
  response.setHeader("Access-Control-Allow-Origin", "*");
  if (!films[name] || !model.state.streams[name]) return response.writeHead(404).end();
  const isPreview = new URL(request.url, "http://node").searchParams.get("preview") === "1";
  model.watch(name, request.socket.remoteAddress, isPreview, response);
  return films[name].play(response);
});

flv.listen(Number(options["flv-port"]), "127.0.0.1", () => {
  http.listen(Number(options.port), "127.0.0.1", () => {
    const port = http.address().port;
    console.log(`listening http://127.0.0.1:${port}/#${options.token}`);
  });
});
setInterval(() => model.tick(), 1_000);
