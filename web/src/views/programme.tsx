// One channel as an operator watches it: the picture, its scenes, its figures, where it goes.

import { useEffect, useState } from "preact/hooks";
import { get, path, post, put } from "../api";
import { bitrate, clock, integer, milliseconds, sum, trim, words } from "../format";
import { useRemembered } from "../hooks";
import { Chip, Choice, Empty, Figure, Panel } from "../parts/bits";
import { Chart, type Point } from "../parts/chart";
import { CompositionPanel } from "../parts/composition";
import { CopyLine } from "../parts/copy";
import { Hours } from "../parts/hours";
import { MixerPanel } from "../parts/mixer";
import { Monitor } from "../parts/monitor";
import { RenditionTable } from "../parts/renditions";
import { FADES, Studio } from "../parts/studio";
import { attempt, history, model, nodeNow } from "../store";
import type { Channel, Preview, Snapshot } from "../types";
import { flvUrl, playUrl } from "../urls";
import { EventList } from "./events";
import { AddOutputButton, OutputList } from "./outputs";

const EVENTS_SHOWN = 8;

export function ProgrammeView({ snapshot, rest }: { snapshot: Snapshot; rest: string[] }) {
  const channels = Object.values(snapshot.channels);
  const channel = channels.find((one) => one.name === rest[0]) ?? channels[0];
  if (!channel) return <NoChannel />;
  const outputs = Object.values(snapshot.outputs).filter((one) => one.channel === channel.name);
  const canWrite = snapshot.node.can_write;
  return (
    <div class={`programme ${model.phase === "lost" ? "stale" : ""}`}>
      {channels.length > 1 && <ChannelTabs channels={channels} current={channel.name} />}
      <Picture snapshot={snapshot} channel={channel} />
      <Switcher key={channel.name} channel={channel} canWrite={canWrite} />
      {channel.renditions.length > 0 && (
        <Panel title="Renditions" class="wide">
          <RenditionTable snapshot={snapshot} renditions={channel.renditions} />
        </Panel>
      )}
      <Charts channel={channel} />
      <MixerPanel key={`audio ${channel.name}`} channel={channel} canWrite={canWrite} />
      <CompositionPanel key={channel.name} channel={channel} />
      <Panel
        title="Outputs"
        class="wide"
        actions={
          canWrite && (
            <AddOutputButton
              channels={[channel.name]}
              renditions={channel.renditions.map((it) => it.name)}
            />
          )
        }
      >
        <OutputList outputs={outputs} canWrite={canWrite} isOneChannel />
      </Panel>
      <Panel title="Latest events" class="wide" actions={<a href="#/events">All events</a>}>
        <EventList entries={model.events.slice(-EVENTS_SHOWN).reverse()} />
      </Panel>
    </div>
  );
}

function NoChannel() {
  return (
    <Empty title="This node has no programme">
      <p>
        It serves what others publish. For a programme of its own, add this to its configuration and
        let it read that again (SIGHUP, or POST /api/v1/reload):
      </p>
      <CopyLine text={'[[channel]]\nname = "demo"'} label="the configuration" />
      <p>
        <a href="#/streams">Go to the streams</a>
      </p>
    </Empty>
  );
}

function ChannelTabs({ channels, current }: { channels: Channel[]; current: string }) {
  return (
    <nav class="tabs" aria-label="Programmes">
      {channels.map(({ name }) => (
        <a
          key={name}
          href={`#${path("programme", name)}`}
          aria-current={name === current ? "page" : undefined}
        >
          {name}
        </a>
      ))}
    </nav>
  );
}

function Picture({ snapshot, channel }: { snapshot: Snapshot; channel: Channel }) {
  const stream = snapshot.streams[channel.stream];
  const isLost = model.phase === "lost";
  return (
    <Panel
      title={channel.name}
      class="picture"
      actions={
        <>
          <Signal isLost={isLost} fps={channel.fps} />
          <span class="soft">
            {channel.width}×{channel.height} · {channel.codec.toUpperCase()}
            {stream &&
              ` · ${integer(stream.viewers)} ${stream.viewers === 1 ? "viewer" : "viewers"}`}
          </span>
        </>
      }
    >
      <Monitor
        url={flvUrl(snapshot.node, channel.stream, stream)}
        label={`programme ${channel.name}`}
        isAvailable={!isLost}
        isSilent={stream?.video != null && stream.audio === null}
        absence="The node is unreachable. The picture comes back with it."
      />
      <CopyLine
        text={playUrl(snapshot.node, channel.stream)}
        label="the play address"
        title="Watch"
      />
    </Panel>
  );
}

function Signal({ isLost, fps }: { isLost: boolean; fps: number }) {
  if (isLost) return <Chip tone="bad">No signal</Chip>;
  return fps > 0 ? <Chip tone="good">Live</Chip> : <Chip tone="warn">No frames</Chip>;
}

/** How often it is asked what is in preview, milliseconds. */
const PREVIEW_MS = 500;

const NOTHING: Preview = { scene: null, state: null };

/** What is in preview, and how to ask at once. */
function usePreview(channel: string, isAsked: boolean): [Preview, () => Promise<void>] {
  const [preview, setPreview] = useState(NOTHING);
  const refresh = async () => {
    const answer = get<Preview>(path("channels", channel, "preview"));
    setPreview(await answer.catch(() => NOTHING));
  };
  useEffect(() => {
    if (!isAsked) return undefined;
    void refresh();
    const timer = setInterval(() => void refresh(), PREVIEW_MS);
    return () => clearInterval(timer);
  }, [channel, isAsked]);
  return [isAsked ? preview : NOTHING, refresh];
}

/** The scenes, and with preview what is there and what is on the air, side by side. */
function Switcher({ channel, canWrite }: { channel: Channel; canWrite: boolean }) {
  const [studio, setStudio] = useRemembered("studio", "on");
  const [fade, setFade] = useRemembered("fade", "");
  const isStudio = studio === "on" && channel.scenes.length > 1;
  const [preview, refresh] = usePreview(channel.name, isStudio && model.phase === "live");
  const isAble = canWrite && model.phase === "live";
  const choose = async (scene: string) => {
    const channelPath = path("channels", channel.name);
    if (isStudio) {
      await attempt(() => put(`${channelPath}/preview`, { scene }), "");
      return refresh();
    }
    const at = `${channelPath}${path("scenes", scene, "activate")}`;
    await attempt(() => post(at, fade === "" ? {} : { fade_ms: Number(fade) }), "");
  };
  return (
    <>
      <div class="side">
        <Scenes
          channel={channel}
          canWrite={canWrite}
          choose={choose}
          preview={preview.scene}
          studio={[isStudio, (isOn) => setStudio(isOn ? "on" : "off")]}
          fade={[fade, setFade]}
        />
        <Figures channel={channel} />
      </div>
      {isStudio && (
        <Studio
          channel={channel}
          preview={preview}
          refresh={refresh}
          isAble={isAble}
          fade={fade}
          setFade={setFade}
        />
      )}
    </>
  );
}

interface ScenesProps {
  channel: Channel;
  canWrite: boolean;
  /** Puts a scene into preview, or on the air without one. */
  choose: (scene: string) => Promise<void>;
  preview: string | null;
  studio: [boolean, (isOn: boolean) => void];
  fade: [string, (fade: string) => void];
}

function Scenes({ channel, canWrite, choose, preview, studio, fade }: ScenesProps) {
  const [isStudio, setStudio] = studio;
  const [byKeys, setByKeys] = useRemembered("scene-keys", "off");
  const [pending, setPending] = useState("");
  const isLive = model.phase === "live";
  const isAble = canWrite && isLive;

  const activate = async (scene: string) => {
    setPending(scene);
    await choose(scene);
    setPending("");
  };

  useEffect(() => {
    if (byKeys !== "on" || !isAble) return undefined;
    const pressed = (event: KeyboardEvent) => {
      const scene = channel.scenes[Number(event.key) - 1];
      if (scene !== undefined && !isTyping(event)) void activate(scene);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });

  return (
    <Panel
      title="Scenes"
      class="scenes"
      actions={
        canWrite && (
          <>
            {channel.scenes.length > 1 && (
              <label
                class="switch"
                title="A scene goes into preview first, and is taken from there"
              >
                <input
                  type="checkbox"
                  class="studio-switch"
                  checked={isStudio}
                  onChange={(event) => setStudio(event.currentTarget.checked)}
                />
                Preview
              </label>
            )}
            <label class="switch keys-switch" title="Keys 1 to 9 choose a scene">
              <input
                type="checkbox"
                checked={byKeys === "on"}
                onChange={(event) => setByKeys(event.currentTarget.checked ? "on" : "off")}
              />
              Keys 1–9
            </label>
          </>
        )
      }
    >
      <ul class="scene-list">
        {channel.scenes.map((scene, index) => (
          <li key={scene}>
            <button
              type="button"
              class="scene"
              aria-pressed={scene === channel.scene}
              data-preview={isStudio && scene === preview}
              disabled={!isAble || pending !== ""}
              onClick={() => void activate(scene)}
            >
              <span class="scene-key" aria-hidden="true">
                {index < 9 ? index + 1 : ""}
              </span>
              <span class="scene-name">{scene}</span>
              <small>{sceneNote(scene, channel.scene, pending, preview)}</small>
            </button>
          </li>
        ))}
      </ul>
      {canWrite && channel.scenes.length > 1 && !isStudio && (
        <div class="row">
          <span class="soft">Transition</span>
          <Choice label="Transition" value={fade[0]} options={FADES} onChange={fade[1]} />
        </div>
      )}
    </Panel>
  );
}

function sceneNote(scene: string, active: string, pending: string, preview: string | null): string {
  if (scene === pending) return "Switching";
  if (scene === active) return "On air";
  return scene === preview ? "Preview" : "";
}

function isTyping(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  if (document.querySelector("dialog[open]")) return true;
  const target = event.target;
  return target instanceof HTMLElement && target.matches("input:not([type=checkbox]), select");
}

function Figures({ channel }: { channel: Channel }) {
  const dropped = sum(channel.dropped);
  const isSlow = channel.fps < channel.fps_target * 0.97;
  const reasons = Object.entries(channel.dropped).filter(([, count]) => count > 0);
  return (
    <Panel title="Encoder" class="encoder">
      <dl class="figures">
        <Figure
          label="Frame rate"
          value={channel.fps.toFixed(1)}
          note={`of ${trim(channel.fps_target)} fps`}
          tone={isSlow ? "warn" : undefined}
        />
        <Figure
          label="Video bitrate"
          value={bitrate(channel.video_bps)}
          note={
            channel.target_bps < channel.configured_bps
              ? `of ${bitrate(channel.target_bps)}, lowered from ` +
                `${bitrate(channel.configured_bps)} by congested outputs`
              : `of ${bitrate(channel.target_bps)}, ${bitrate(channel.bitrate_bps)} with audio`
          }
          tone={channel.target_bps < channel.configured_bps ? "warn" : undefined}
        />
        <Figure
          label="Dropped"
          value={integer(dropped)}
          note={`of ${integer(channel.frames)}`}
          tone={dropped > 0 ? "warn" : undefined}
        />
        <Figure
          label="Latency p50"
          value={milliseconds(channel.latency_ms?.p50)}
          note={`p99 ${milliseconds(channel.latency_ms?.p99)}`}
        />
        <Figure label="Queue" value={integer(channel.queue)} note="frames" />
        <Figure label="Encoder" value={channel.encoder} note={channel.preset} />
      </dl>
      <SpeedLine channel={channel} />
      {reasons.length > 0 && (
        <p class="soft small-text">
          Dropped: {reasons.map(([why, count]) => `${words(why)} ${integer(count)}`).join(", ")}
        </p>
      )}
    </Panel>
  );
}

const WHY: Record<string, string> = {
  queue: "frames waited for the encoder",
  encode_time: "encoding took nearly all the time",
  headroom: "there is time for it",
  priority: "a channel of higher priority had too little time",
};

/** Which preset the encoder is like now, and why. */
function SpeedLine({ channel }: { channel: Channel }) {
  const { mode, preset, step, steps, fps_divisor, width, height, late_frames, changes } =
    channel.speed;
  if (mode === "fixed") {
    return null;
  }
  const isSmaller = width < channel.width;
  const isBest = step + 1 >= steps && fps_divisor === 1 && !isSmaller;
  const since = changes[0] && `since ${clock(changes[0].at)}: ${WHY[changes[0].reason] ?? ""}`;
  const history = changes.map((it) =>
    [
      clock(it.at),
      it.preset,
      it.fps_divisor > 1 && `1/${it.fps_divisor} of the frames`,
      it.width < channel.width && `${it.width}×${it.height}`,
    ]
      .filter(Boolean)
      .join(" "),
  );
  const parts = [
    preset && `like ${preset}`,
    fps_divisor > 1 && `one frame of ${fps_divisor}`,
    isSmaller && `${width}×${height}`,
    since,
    late_frames > 0 && `${integer(late_frames)} late`,
  ];
  return (
    <p class={`small-text ${isBest ? "soft" : "warn"}`} title={history.join("\n")}>
      Speed: {parts.filter(Boolean).join(", ")}
    </p>
  );
}

const SPANS = [
  ["60", "1 min"],
  ["300", "5 min"],
  ["900", "15 min"],
] as const;

function Charts({ channel }: { channel: Channel }) {
  const [span, setSpan] = useRemembered("span", "60");
  const samples = history.of(channel.name);
  const points = (pick: (sample: (typeof samples)[number]) => number | null): Point[] =>
    samples.map((sample) => ({ at: sample.at, value: pick(sample) }));
  const scale = { spanMs: Number(span) * 1000, now: samples.at(-1)?.at ?? Date.now() };
  return (
    <Panel
      title="Last minutes"
      class="wide charts-panel"
      actions={<Choice label="Time shown" value={span} options={SPANS} onChange={setSpan} />}
    >
      <div class="charts">
        <Chart
          {...scale}
          title="Frames per second"
          target={channel.fps_target}
          topAtLeast={1}
          format={(value) => value.toFixed(1)}
          series={[{ name: "fps", tone: "accent", points: points((s) => s.fps) }]}
        />
        <Chart
          {...scale}
          title="Video bitrate"
          target={channel.target_bps}
          topAtLeast={100_000}
          format={bitrate}
          series={[{ name: "bitrate", tone: "accent", points: points((s) => s.bitrate) }]}
        />
        <Chart
          {...scale}
          title="Dropped frames per second"
          topAtLeast={5}
          format={integer}
          series={[{ name: "drops", tone: "warn", isBars: true, points: points((s) => s.drops) }]}
        />
        <Chart
          {...scale}
          title="Latency"
          topAtLeast={10}
          format={milliseconds}
          series={[
            { name: "p50", tone: "accent", points: points((s) => s.p50) },
            { name: "p99", tone: "soft", points: points((s) => s.p99) },
          ]}
        />
        <Hours title="Dropped frames per hour" counts={channel.dropped_by_hour} now={nodeNow()} />
      </div>
    </Panel>
  );
}
