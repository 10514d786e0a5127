// The picture of one stream, live, over HTTP-FLV. It starts again by itself when the stream or the
// node comes back.

import type mpegts from "mpegts.js";
import { useEffect, useRef, useState } from "preact/hooks";
import { milliseconds } from "../format";
import { Icon } from "./icon";

/** Waits between attempts, milliseconds. The last one repeats. */
const BACK_OFF_MS = [500, 1_000, 2_000, 3_000];
/** A picture that stands still for so long is fetched anew. */
const STALL_MS = 5_000;
const CHECK_MS = 500;

type Phase = "off" | "loading" | "playing" | "waiting" | "unsupported";

interface MonitorProps {
  url: string;
  label: string;
  /** Whether there is something to play: the stream exists and the node answers. */
  isAvailable: boolean;
  /** What is said in place of the picture while there is not. */
  absence: string;
  /** It is known to carry none: the player would wait for it. */
  isSilent?: boolean;
}

export function Monitor(props: MonitorProps) {
  const { url, label, isAvailable, absence, isSilent = false } = props;
  const video = useRef<HTMLVideoElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const [isWanted, setWanted] = useState(true);
  const [isMuted, setMuted] = useState(true);
  const [phase, setPhase] = useState<Phase>("loading");
  const [behindMs, setBehindMs] = useState<number | null>(null);

  useEffect(() => {
    const element = video.current;
    if (!element || !isWanted || !isAvailable) {
      setPhase("off");
      setBehindMs(null);
      return undefined;
    }
    const playing = new Playing(element, { url, isSilent }, setPhase, setBehindMs);
    return () => playing.end();
  }, [url, isSilent, isWanted, isAvailable]);

  const shown = isAvailable ? TEXT[phase] : absence;
  return (
    <div class="monitor" ref={frame} data-phase={phase}>
      <video ref={video} muted={isMuted} playsInline aria-label={`Preview of ${label}`} />
      {shown && (
        <div class="monitor-text" role="status">
          {phase === "loading" && isAvailable && <span class="spinner" aria-hidden="true" />}
          {shown}
        </div>
      )}
      <div class="monitor-bar">
        <button
          type="button"
          class="on-video"
          aria-label={isWanted ? "Stop the preview" : "Play the preview"}
          onClick={() => setWanted(!isWanted)}
        >
          <Icon name={isWanted ? "stop" : "play"} />
        </button>
        <button
          type="button"
          class="on-video"
          aria-label="Audio"
          aria-pressed={!isMuted}
          onClick={() => setMuted(!isMuted)}
        >
          <Icon name={isMuted ? "silent" : "audio"} />
        </button>
        <span class="monitor-note">
          {phase === "playing" && behindMs !== null && `${milliseconds(behindMs)} buffered`}
        </span>
        <button
          type="button"
          class="on-video"
          aria-label="Full screen"
          onClick={() => void toggleFullscreen(frame.current)}
        >
          <Icon name="full" />
        </button>
      </div>
    </div>
  );
}

const TEXT: Record<Phase, string> = {
  off: "Preview stopped",
  loading: "Connecting to the stream",
  playing: "",
  waiting: "No picture arrives. Trying again.",
  unsupported: "This browser cannot play the preview: it lacks Media Source Extensions.",
};

async function toggleFullscreen(element: HTMLElement | null): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await element?.requestFullscreen?.();
}

/** One showing of a stream in a video element, until `end`. */
class Playing {
  private player: mpegts.Player | null = null;
  private isEnded = false;
  private attempts = 0;
  private retry: number | undefined;
  private readonly check: number;
  private lastTime = 0;
  private movedAt = 0;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly what: { url: string; isSilent: boolean },
    private readonly onPhase: (phase: Phase) => void,
    private readonly onBehind: (ms: number | null) => void,
  ) {
    this.check = window.setInterval(() => this.look(), CHECK_MS);
    void this.begin();
  }

  end(): void {
    this.isEnded = true;
    clearInterval(this.check);
    clearTimeout(this.retry);
    this.destroy();
  }

  private async begin(): Promise<void> {
    this.onPhase(this.attempts > 1 ? "waiting" : "loading");
    const { default: library } = await import("mpegts.js");
    if (this.isEnded) return;
    if (!library.isSupported()) {
      this.onPhase("unsupported");
      clearInterval(this.check);
      return;
    }
    library.LoggingControl.enableAll = false;
    const source: mpegts.MediaDataSource = { type: "flv", isLive: true, url: this.what.url };
    if (this.what.isSilent) source.hasAudio = false;
    const player = library.createPlayer(source, CONFIG);
    this.player = player;
    this.movedAt = Date.now();
    this.lastTime = 0;
    player.on(library.Events.ERROR, () => this.again());
    player.on(library.Events.LOADING_COMPLETE, () => this.again());
    player.attachMediaElement(this.video);
    player.load();
    // It begins as soon as there is something to show; being stopped before that is no mistake.
    Promise.resolve(player.play()).catch(() => undefined);
  }

  private look(): void {
    if (!this.player) return;
    const { currentTime, buffered } = this.video;
    if (currentTime > this.lastTime) {
      if (this.lastTime > 0) {
        this.attempts = 0;
        this.onPhase("playing");
      }
      this.lastTime = currentTime;
      this.movedAt = Date.now();
    } else if (Date.now() - this.movedAt > STALL_MS && !document.hidden) {
      this.again();
      return;
    }
    const end = buffered.length > 0 ? buffered.end(buffered.length - 1) : null;
    this.onBehind(end === null ? null : Math.round((end - currentTime) * 10) * 100);
  }

  private again(): void {
    if (this.isEnded) return;
    this.destroy();
    const wait = BACK_OFF_MS[Math.min(this.attempts, BACK_OFF_MS.length - 1)] ?? 3_000;
    this.attempts += 1;
    if (this.attempts > 1) this.onPhase("waiting");
    clearTimeout(this.retry);
    this.retry = window.setTimeout(() => void this.begin(), wait);
  }

  private destroy(): void {
    this.player?.destroy();
    this.player = null;
  }
}

const CONFIG: mpegts.Config = {
  enableWorker: false,
  enableStashBuffer: false,
  lazyLoad: false,
  liveBufferLatencyChasing: true,
  liveBufferLatencyMaxLatency: 2.5,
  liveBufferLatencyMinRemain: 0.7,
  autoCleanupSourceBuffer: true,
  referrerPolicy: "no-referrer",
};
