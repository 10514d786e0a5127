// Addresses of streams, as this browser and its user reach them.

import type { NodeInfo, Stream } from "./types";

const RTMP_PORT = 1935;

/** A part of an address as people read it. What is malformed is taken as it stands. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Where the preview of a stream comes from. */
export function flvUrl(node: NodeInfo, name: string, stream?: Stream): string {
  const base = node.flv_url_base.replace(/\/*$/, "/");
  const url = new URL(stream?.flv_url || `${name}.flv`, new URL(base, location.href));
  // A node that listens everywhere, or behind a tunnel, knows itself by a name that is not ours.
  if (isLoopback(url.hostname)) url.hostname = location.hostname;
  // Whoever runs the node is no audience.
  url.searchParams.set("preview", "1");
  return url.href;
}

/** What a player is given. */
export const playUrl = (node: NodeInfo, name: string): string => `${rtmpBase(node)}/${name}`;

/** A command that publishes a file. */
export function publishLine(node: NodeInfo, name: string, key: string): string {
  const url = `${rtmpBase(node)}/${name}?key=${key}`;
  return `ffmpeg -re -i FILE -c:v libx264 -preset veryfast -g 60 -c:a aac -f flv "${url}"`;
}

function rtmpBase(node: NodeInfo): string {
  const port = node.rtmp_port === RTMP_PORT ? "" : `:${node.rtmp_port}`;
  return `rtmp://${location.hostname}${port}`;
}

function isLoopback(host: string): boolean {
  return /^(localhost|127\.[\d.]+|\[::1?\]|0\.0\.0\.0)$/.test(host);
}
