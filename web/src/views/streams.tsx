// Everything the node carries: who publishes it, what it is, who watches.

import { useState } from "preact/hooks";
import { get, path, remove, streamPath } from "../api";
import { bitrate, bytes, duration, integer } from "../format";
import { usePolled } from "../hooks";
import { Chip, Empty, Figure, Panel, type Tone } from "../parts/bits";
import { CopyLine } from "../parts/copy";
import { Confirm } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { LatencyPanel } from "../parts/latency";
import { Monitor } from "../parts/monitor";
import { RenditionTable } from "../parts/renditions";
import { attempt, model, nodeNow, tried } from "../store";
import type { Client, Fallback, Publisher, Snapshot, Stream, Transcode } from "../types";
import { flvUrl, playUrl, publishLine } from "../urls";

const POLL_MS = 2_000;

export function StreamsView({ snapshot, rest }: { snapshot: Snapshot; rest: string[] }) {
  const streams = Object.values(snapshot.streams);
  const name = rest.join("/");
  const chosen = streams.find((stream) => stream.name === name);
  return (
    <div class={`streams ${model.phase === "lost" ? "stale" : ""} ${name ? "has-detail" : ""}`}>
      <Panel title="Streams">
        {streams.length === 0 ? (
          <NoStreams snapshot={snapshot} />
        ) : (
          <StreamTable snapshot={snapshot} streams={streams} chosen={name} />
        )}
      </Panel>
      {!name &&
        Object.values(snapshot.transcodes).map((it) => (
          <Transcoded key={it.name} snapshot={snapshot} transcode={it} />
        ))}
      {name && !chosen && (
        <Panel title={name}>
          <Empty title="This stream has ended">
            <p>It is shown again as soon as somebody publishes it.</p>
          </Empty>
        </Panel>
      )}
      {chosen && <Detail key={chosen.name} snapshot={snapshot} stream={chosen} />}
    </div>
  );
}

const TRANSCODE_STATES: Record<Transcode["state"], readonly [Tone, string]> = {
  stopped: ["soft", "Stopped"],
  idle: ["soft", "Idle: nobody watches"],
  waiting: ["accent", "Waits for the stream"],
  live: ["good", "Live"],
  failed: ["bad", "Failed"],
};

/** A stream in further encodes: what is made of it now, and for how many. */
function Transcoded({ snapshot, transcode }: { snapshot: Snapshot; transcode: Transcode }) {
  const { name, source, state, error, since_at, readers, renditions } = transcode;
  const [tone, text] = TRANSCODE_STATES[state] ?? ["soft", state];
  const title = name === source ? `Transcode of ${source}` : `Transcode ${name} of ${source}`;
  const facts = [
    since_at && `${transcode.width}×${transcode.height}, ${transcode.fps.toFixed(0)} fps`,
    since_at && `for ${duration(nodeNow() - since_at)}`,
    `${integer(readers)} ${readers === 1 ? "reader" : "readers"}`,
  ];
  return (
    <Panel title={title} actions={<Chip tone={tone}>{text}</Chip>}>
      <p class="soft" data-transcode={name}>
        {facts.filter(Boolean).join(" · ")}
      </p>
      {error && <p class="problem">{error}</p>}
      {renditions.length > 0 && <RenditionTable snapshot={snapshot} renditions={renditions} />}
    </Panel>
  );
}

function NoStreams({ snapshot }: { snapshot: Snapshot }) {
  return (
    <Empty title="Nothing is published yet">
      <p>
        <a href="#/keys">Create a stream key</a>, then publish with OBS, or with ffmpeg:
      </p>
      <CopyLine text={publishLine(snapshot.node, "live/studio", "KEY")} label="the command" />
    </Empty>
  );
}

function StreamTable({
  snapshot,
  streams,
  chosen,
}: {
  snapshot: Snapshot;
  streams: Stream[];
  chosen: string;
}) {
  return (
    <div class="table-box">
      <table>
        <thead>
          <tr>
            <th>Stream</th>
            <th>Source</th>
            <th>Video</th>
            <th>Audio</th>
            <th class="number">Bitrate</th>
            <th class="number">Viewers</th>
            <th class="number">For</th>
          </tr>
        </thead>
        <tbody>
          {streams.map((stream) => (
            <tr key={stream.name} class={stream.name === chosen ? "chosen" : ""}>
              <td class="name">
                <a
                  href={`#${streamPath(stream.name)}`}
                  aria-current={stream.name === chosen ? "true" : undefined}
                >
                  {stream.name}
                </a>
              </td>
              <td data-label="Source">
                <Source stream={stream} fallback={snapshot.fallbacks?.[stream.name]} />
              </td>
              <td data-label="Video">{videoText(stream)}</td>
              <td data-label="Audio">{audioText(stream)}</td>
              <td class="number" data-label="Bitrate">
                {bitrate(stream.bitrate_bps)}
              </td>
              <td class="number" data-label="Viewers">
                {integer(stream.viewers)}
              </td>
              <td class="number" data-label="For">
                {duration(nodeNow() - stream.since_at)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What is shown of a stream with a fallback. */
const FALLBACK_STATES: Record<Fallback["state"], readonly [Tone, string]> = {
  idle: ["soft", "Waits for a publisher"],
  source: ["good", "Passed on"],
  fallback: ["bad", "Fallback shown"],
  returning: ["warn", "Fallback shown, publisher is back"],
};

function Source({ stream, fallback }: { stream: Stream; fallback: Fallback | undefined }) {
  if (fallback) {
    const [tone, text] = FALLBACK_STATES[fallback.state] ?? ["soft", fallback.state];
    return (
      <>
        <Chip tone={tone}>{text}</Chip>
        {!fallback.ready && (
          <small class="soft"> No fallback: {fallback.error ?? "not made yet"}</small>
        )}
      </>
    );
  }
  if (stream.source === "nobody") return <Chip tone="warn">Publisher left</Chip>;
  if (stream.source === "channel") return <Chip tone="accent">Programme</Chip>;
  if (stream.source === "transcode") return <Chip tone="accent">Transcode</Chip>;
  const text = stream.source === "publisher" ? "Publisher" : stream.source;
  return (
    <>
      <Chip tone="good">{text}</Chip>
      {stream.publisher && <small class="soft"> {publisherName(stream.publisher)}</small>}
    </>
  );
}

function secondsApart(ms: number | null | undefined): string {
  return typeof ms === "number" ? `${(ms / 1000).toFixed(1)} s apart` : "–";
}

function milliseconds(ms: number | null | undefined): string {
  return typeof ms === "number" ? `${Math.round(ms)} ms` : "–";
}

/** Its owner or label if its key has one, and where it comes from. */
function publisherName({ owner, label, address }: Publisher): string {
  return [owner, label, address].filter(Boolean).join(" · ");
}

function videoText({ video }: Stream): string {
  if (!video) return "–";
  const size = video.width > 0 ? ` ${video.width}×${video.height}` : "";
  const fps = video.fps > 0 ? ` ${Math.round(video.fps * 100) / 100} fps` : "";
  return `${video.codec}${size}${fps}`;
}

function audioText({ audio }: Stream): string {
  if (!audio) return "–";
  const rate = audio.sample_rate > 0 ? ` ${audio.sample_rate / 1000} kHz` : "";
  const channels = ["", " mono", " stereo"][audio.channels] ?? ` ${audio.channels} channels`;
  return `${audio.codec}${rate}${channels}`;
}

/** Such as `2 outputs, 1 preview`. */
function othersText({ other_readers: others }: Stream): string {
  const words = Object.entries(others)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${integer(count)} ${kind}${count === 1 ? "" : "s"}`);
  return words.join(", ") || "–";
}

function Detail({ snapshot, stream }: { snapshot: Snapshot; stream: Stream }) {
  const isLost = model.phase === "lost";
  const canWrite = snapshot.node.can_write;
  return (
    <Panel
      title={stream.name}
      class="detail"
      actions={
        <>
          {canWrite && stream.publisher && <KickPublisher stream={stream} />}
          <a class="button ghost square" href="#/streams" aria-label="Close">
            <Icon name="close" />
          </a>
        </>
      }
    >
      <Monitor
        url={flvUrl(snapshot.node, stream.name, stream)}
        label={stream.name}
        isAvailable={!isLost}
        isSilent={stream.video !== null && stream.audio === null}
        absence="The node is unreachable. The picture comes back with it."
      />
      <CopyLine text={playUrl(snapshot.node, stream.name)} label="the play address" title="Watch" />
      <dl class="figures">
        <Figure label="Video" value={videoText(stream)} />
        <Figure label="Audio" value={audioText(stream)} />
        <Figure label="Bitrate" value={bitrate(stream.bitrate_bps)} />
        <Figure label="Keyframes" value={secondsApart(stream.keyframe_interval_ms)} />
        <Figure label="Picture ahead of audio" value={milliseconds(stream.av_offset_ms)} />
        <Figure label="Received" value={bytes(stream.bytes_in)} />
        <Figure label="Sent to viewers" value={bytes(stream.bytes_out)} />
        <Figure
          label="Publisher"
          value={stream.publisher ? publisherName(stream.publisher) : "–"}
        />
        <Figure label="Encoder" value={stream.publisher?.encoder || "–"} />
        <Figure label="Key" value={stream.publisher?.key?.slice(0, 8) ?? "–"} />
        <Figure label="Also read by" value={othersText(stream)} />
      </dl>
      <LatencyPanel stream={stream.name} />
      <Viewers stream={stream.name} canWrite={canWrite} />
    </Panel>
  );
}

function KickPublisher({ stream }: { stream: Stream }) {
  const [isOpen, setOpen] = useState(false);
  const kick = () => remove(streamPath(stream.name, "publisher"));
  return (
    <>
      <button
        type="button"
        class="small"
        disabled={model.phase !== "live"}
        onClick={() => setOpen(true)}
      >
        <Icon name="ban" />
        Kick publisher
      </button>
      {isOpen && (
        <Confirm
          title={`Disconnect the publisher of ${stream.name}?`}
          text="Its connection is closed. It may come back with the same key; revoke the key to prevent that."
          action="Disconnect"
          onClose={() => setOpen(false)}
          onConfirm={() => tried(kick, "The publisher was disconnected")}
        />
      )}
    </>
  );
}

function Viewers({ stream, canWrite }: { stream: string; canWrite: boolean }) {
  const ask = () => get<Client[]>(`/clients?stream=${encodeURIComponent(stream)}`);
  const clients = usePolled(ask, POLL_MS, stream);
  const viewers = clients?.filter((client) => client.state === "player");
  return (
    <section class="viewers">
      <h3>Viewers {viewers && <span class="count">{viewers.length}</span>}</h3>
      {viewers?.length === 0 && <p class="soft">Nobody is watching.</p>}
      <ul>
        {viewers?.map((client) => (
          <li key={client.id}>
            <code>{client.address}</code>
            <span class="soft">
              {client.protocol} · {duration(nodeNow() - client.since_at)} ·{" "}
              {bytes(client.bytes_out)}
              {client.encoder && ` · ${client.encoder}`}
              {client.dropped > 0 && ` · ${integer(client.dropped)} dropped`}
            </span>
            {canWrite && (
              <button
                type="button"
                class="small ghost"
                aria-label={`Kick ${client.address}`}
                onClick={() =>
                  void attempt(
                    () => remove(path("clients", client.id)),
                    `${client.address} was disconnected`,
                  )
                }
              >
                Kick
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
