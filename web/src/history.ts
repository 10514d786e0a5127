// The recent figures of each channel, one sample a second, for the charts.

import { sum } from "./format";
import type { Snapshot } from "./types";

/** Seconds that are kept. */
export const HISTORY_S = 900;

export interface Sample {
  at: number;
  fps: number;
  /** Of the pictures alone. */
  bitrate: number;
  drops: number;
  p50: number | null;
  p99: number | null;
}

export class History {
  private readonly channels = new Map<string, Sample[]>();
  private readonly totals = new Map<string, number>();

  of(channel: string): readonly Sample[] {
    return this.channels.get(channel) ?? [];
  }

  clear(): void {
    this.channels.clear();
    this.totals.clear();
  }

  sample(snapshot: Snapshot, at: number): void {
    for (const channel of Object.values(snapshot.channels)) {
      const total = sum(channel.dropped);
      // A smaller total is a node that was started again.
      const drops = Math.max(0, total - (this.totals.get(channel.name) ?? total));
      this.totals.set(channel.name, total);
      const samples = this.channels.get(channel.name) ?? [];
      samples.push({
        at,
        fps: channel.fps,
        bitrate: channel.video_bps,
        drops,
        p50: channel.latency_ms?.p50 ?? null,
        p99: channel.latency_ms?.p99 ?? null,
      });
      if (samples.length > HISTORY_S) samples.splice(0, samples.length - HISTORY_S);
      this.channels.set(channel.name, samples);
    }
  }
}
