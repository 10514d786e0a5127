// What drawing a programme takes, and which of its layers take most of it.

import { get, path } from "../api";
import { bytes, integer } from "../format";
import { usePolled } from "../hooks";
import type { Channel, Composition } from "../types";
import { Figure, Panel } from "./bits";

const POLL_MS = 2_000;
const LAYERS_SHOWN = 6;

export function CompositionPanel({ channel }: { channel: Channel }) {
  const at = path("channels", channel.name, "composition");
  const composition = usePolled(() => get<Composition>(at), POLL_MS, at);
  // A programme whose frames another program hands in has no layers.
  if (!composition || composition.layers.length === 0) return null;
  const interval = 1e6 / channel.fps_target;
  const part = (us: number) => `${((us / interval) * 100).toFixed(us < interval / 10 ? 1 : 0)} %`;
  return (
    <Panel title="Composition" class="wide composition">
      <dl class="figures">
        <Figure
          label="Drawing a frame"
          value={microseconds(composition.us_per_frame)}
          note={`${part(composition.us_per_frame)} of a core`}
        />
        <Figure
          label="Pixels drawn"
          value={integer(Math.round(composition.pixels_per_frame))}
          note={`per frame, of ${integer(channel.width * channel.height)}`}
        />
        <Figure label="Prepared pictures" value={bytes(composition.cache_bytes)} />
        <Figure
          label="Asset cache"
          value={bytes(composition.asset_cache.bytes)}
          note={`of ${bytes(composition.asset_cache.bytes_max)}, all channels`}
        />
      </dl>
      <div class="table-box">
        <table>
          <thead>
            <tr>
              <th>Dearest layers</th>
              <th class="number">Time per frame</th>
              <th class="number">Of a core</th>
              <th class="number">Pixels per frame</th>
              <th class="number">Memory</th>
            </tr>
          </thead>
          <tbody>
            {composition.layers.slice(0, LAYERS_SHOWN).map((layer) => (
              <tr key={layer.name}>
                <td class="name">{layer.name}</td>
                <td class="number" data-label="Time per frame">
                  {microseconds(layer.us_per_frame)}
                </td>
                <td class="number" data-label="Of a core">
                  {part(layer.us_per_frame)}
                </td>
                <td class="number" data-label="Pixels per frame">
                  {integer(Math.round(layer.pixels_per_frame))}
                </td>
                <td class="number" data-label="Memory">
                  {bytes(layer.cache_bytes)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function microseconds(us: number): string {
  return us < 1_000 ? `${us.toFixed(us < 10 ? 1 : 0)} µs` : `${(us / 1_000).toFixed(1)} ms`;
}
