// The built dashboard, with the headers that the program sends.
import { readFileSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};

export function serveFile(request, response, flvPort) {
  const { pathname } = new URL(request.url, "http://node");
  const name = pathname === "/" ? "index.html" : normalize(pathname).slice(1);
  let bytes;
  try {
    bytes = readFileSync(join(DIST, name));
  } catch {
    return response.writeHead(404).end();
  }
  const [host] = (request.headers.host ?? "127.0.0.1").split(":");
  response.writeHead(200, {
    "Content-Type": TYPES[extname(name)] ?? "application/octet-stream",
    "Content-Security-Policy":
      `default-src 'self'; connect-src 'self' ws://${request.headers.host} ` +
      `http://${host}:${flvPort}; media-src 'self' blob:; img-src 'self' blob:; base-uri 'none'; ` +
      "form-action 'none'; frame-ancestors 'none'",
  });
  return response.end(bytes);
}
