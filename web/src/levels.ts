// Audio levels of a channel, ten times a second, over a WebSocket of their own.

import { useEffect, useState } from "preact/hooks";
import { token } from "./api";
import type { LevelsMessage } from "./types";

const AGAIN_MS = 3_000;

/** The newest levels of a channel; `null` until there are some. */
export function useLevels(channel: string): LevelsMessage | null {
  const [levels, setLevels] = useState<LevelsMessage | null>(null);
  useEffect(() => {
    let socket: WebSocket | null = null;
    let retry: number | undefined;
    const open = () => {
      const query = new URLSearchParams({ levels: channel });
      const address = new URL(`/ws?${query}`, location.href.replace(/^http/, "ws"));
      socket = new WebSocket(address, ["stream-manager", `bearer.${token()}`]);
      socket.onmessage = (event: MessageEvent<string>) => {
        const message = JSON.parse(event.data) as { type: string };
        if (message.type === "audio_levels") setLevels(message as LevelsMessage);
      };
      socket.onclose = () => {
        retry = window.setTimeout(open, AGAIN_MS);
      };
    };
    open();
    return () => {
      clearTimeout(retry);
      if (socket) socket.onclose = null;
      socket?.close();
    };
  }, [channel]);
  return levels?.channel === channel ? levels : null;
}
