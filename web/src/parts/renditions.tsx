// Encodes of the same pictures as a table: of a channel, and of a stream that is transcoded.

import { bitrate, integer, sum, trim } from "../format";
import type { Rendition, Snapshot } from "../types";
import { playUrl } from "../urls";

interface RenditionTableProps {
  snapshot: Snapshot;
  renditions: Rendition[];
}

export function RenditionTable({ snapshot, renditions }: RenditionTableProps) {
  return (
    <div class="table-box">
      <table>
        <thead>
          <tr>
            <th>Rendition</th>
            <th>Picture</th>
            <th>Encoder</th>
            <th class="number">Frame rate</th>
            <th class="number">Video bitrate</th>
            <th class="number">Dropped</th>
            <th class="number">Viewers</th>
          </tr>
        </thead>
        <tbody>
          {renditions.map((it) => (
            <tr key={it.name} data-rendition={it.name}>
              <td class="name" title={playUrl(snapshot.node, it.stream)}>
                {it.name}
                <small>{it.stream}</small>
              </td>
              <td data-label="Picture">
                {it.width}×{it.height} · {it.codec.toUpperCase()}
              </td>
              <td data-label="Encoder">
                {it.shares ? `that of ${it.shares}` : `${it.encoder} ${speedOf(it)}`}
              </td>
              <td class="number" data-label="Frame rate">
                {it.fps.toFixed(1)} of {trim(it.fps_target)}
              </td>
              <td class="number" data-label="Video bitrate">
                {bitrate(it.video_bps)} of {bitrate(it.target_bps)}
              </td>
              <td class="number" data-label="Dropped">
                {integer(sum(it.dropped))}
              </td>
              <td class="number" data-label="Viewers">
                {integer(snapshot.streams[it.stream]?.viewers ?? 0)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The preset that an encoder is like now. */
const speedOf = ({ speed, preset, width }: Rendition): string =>
  [
    speed.preset || preset,
    speed.fps_divisor > 1 && `one frame of ${speed.fps_divisor}`,
    speed.width < width && `${speed.width}×${speed.height}`,
  ]
    .filter(Boolean)
    .join(", ");
