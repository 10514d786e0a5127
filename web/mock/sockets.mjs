// WebSockets, as far as the dashboard needs them: text from here, nothing but closing from there.
import { createHash } from "node:crypto";

const LEVELS_MS = 100;
const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export class Sockets {
  constructor(model, rights) {
    this.model = model;
    this.rights = rights;
  }

  accept(request, socket) {
    const words = (request.headers["sec-websocket-protocol"] ?? "").split(/,\s*/);
    const token = words.find((word) => word.startsWith("bearer."))?.slice(7) ?? "";
    const right = this.rights(token);
    socket.on("error", () => socket.destroy());
    if (right === "none") return void socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
    const key = request.headers["sec-websocket-key"];
    const accept = createHash("sha1")
      .update(key + MAGIC)
      .digest("base64");
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: stream-manager\r\n\r\n`,
    );
    const { searchParams } = new URL(request.url, "http://node");
    const tell = (message) => {
      if (message) socket.write(frame(JSON.stringify(forRight(message, right))));
      else socket.destroy();
    };
    const channel = searchParams.get("levels");
    if (channel) {
      const levels = setInterval(() => tell(this.model.levelsOf(channel)), LEVELS_MS);
      return void socket.on("close", () => clearInterval(levels));
    }
    for (const message of this.model.after(Number(searchParams.get("since") ?? 0))) tell(message);
    this.model.listeners.add(tell);
    socket.on("close", () => this.model.listeners.delete(tell));
    socket.on("data", (bytes) => {
      if ((bytes[0] & 0x0f) === 8) socket.end();
    });
    return undefined;
  }
}

/** What a token may do is told to its holder alone. */
function forRight(message, right) {
  const may = { can_write: right === "write", role: right === "write" ? "admin" : "read-only" };
  if (message.type === "state") {
    return { ...message, state: { ...message.state, node: { ...message.state.node, ...may } } };
  }
  if (message.path === "node") return { ...message, value: { ...message.value, ...may } };
  return message;
}

function frame(text) {
  const payload = Buffer.from(text);
  if (payload.length < 126) return Buffer.concat([Buffer.from([0x81, payload.length]), payload]);
  const head = Buffer.alloc(payload.length < 65_536 ? 4 : 10);
  head[0] = 0x81;
  if (head.length === 4) {
    head[1] = 126;
    head.writeUInt16BE(payload.length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  return Buffer.concat([head, payload]);
}
