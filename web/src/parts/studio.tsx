// Preview and programme side by side: small moving pictures, and the buttons that take the one to
// the air.

import { useEffect, useRef, useState } from "preact/hooks";
import { blob, path, post } from "../api";
import { attempt } from "../store";
import type { Channel, Preview } from "../types";
import { Chip, Choice, Panel } from "./bits";

/** Time between two pictures, and after one that could not be had, milliseconds. */
const PICTURE_MS = 200;
const RETRY_MS = 1_000;

export const FADES = [
  ["", "As set"],
  ["0", "Cut"],
  ["250", "¼ s"],
  ["500", "½ s"],
  ["1000", "1 s"],
  ["2000", "2 s"],
] as const;

interface StudioProps {
  channel: Channel;
  preview: Preview;
  refresh: () => Promise<void>;
  /** Whether who looks may take. */
  isAble: boolean;
  fade: string;
  setFade: (fade: string) => void;
}

export function Studio({ channel, preview, refresh, isAble, fade, setFade }: StudioProps) {
  const [isTaking, setTaking] = useState(false);
  const { scene, state, reason } = preview;
  const canTake = isAble && scene !== null && scene !== channel.scene && !isTaking;

  const take = async (fadeMs: string) => {
    if (!canTake) return;
    setTaking(true);
    const transition = fadeMs === "0" ? { type: "cut" } : fadeOf(fadeMs);
    await attempt(() => post(path("channels", channel.name, "take"), { transition }), "");
    await refresh();
    setTaking(false);
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      void take(fade);
    }
  };

  return (
    <Panel title="Preview and programme" class="wide">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: its keys are those of the button in it */}
      <section class="studio" tabIndex={0} aria-label="Space takes the preview" onKeyDown={pressed}>
        <figure class="bus preview-bus">
          <MovingPicture
            about={scene === null ? "" : path("channels", channel.name, "preview", "picture")}
            label={`Preview of scene ${scene ?? ""}`}
            absence="Choose a scene to see it here"
          />
          <figcaption>
            <b>Preview</b> <span class="bus-scene">{scene ?? "nothing"}</span>
            {state && <Chip tone={TONES[state]}>{WORDS[state]}</Chip>}
          </figcaption>
        </figure>
        <div class="take">
          <button
            type="button"
            class="primary"
            disabled={!canTake}
            title="Puts the preview on the air. Space or Enter do the same here."
            onClick={() => void take(fade)}
          >
            Take
          </button>
          <button type="button" disabled={!canTake} onClick={() => void take("0")}>
            Cut
          </button>
          <Choice label="Transition" value={fade} options={FADES} onChange={setFade} />
        </div>
        <figure class="bus programme-bus">
          <MovingPicture
            about={path("channels", channel.name, "programme", "picture")}
            label={`Programme ${channel.name}`}
            absence="No picture"
          />
          <figcaption>
            <b>Programme</b> <span class="bus-scene">{channel.scene}</span>
          </figcaption>
        </figure>
        {reason && (
          <p class="warn small-text studio-reason" role="status">
            {scene} cannot be shown as it is: {reason}
          </p>
        )}
      </section>
    </Panel>
  );
}

const TONES = { ready: "good", loading: "soft", failed: "bad" } as const;
const WORDS = { ready: "Ready", loading: "Loading", failed: "Failed" } as const;

function fadeOf(ms: string) {
  return ms === "" ? undefined : { type: "fade", duration_ms: Number(ms) };
}

interface MovingPictureProps {
  /** Path of the picture below `/api/v1`; empty for none. */
  about: string;
  label: string;
  absence: string;
}

/** A picture that is fetched again and again while the page is seen. */
function MovingPicture({ about, label, absence }: MovingPictureProps) {
  const image = useRef<HTMLImageElement>(null);
  const [isThere, setThere] = useState(false);

  useEffect(() => {
    setThere(false);
    if (!about) return undefined;
    const pictures = new Pictures(about, (address) => {
      if (address && image.current) image.current.src = address;
      setThere(address !== "");
    });
    return () => pictures.end();
  }, [about]);

  return (
    <div class="bus-picture">
      <img ref={image} alt={label} hidden={!isThere} />
      {!isThere && <span class="soft">{absence}</span>}
    </div>
  );
}

/** The pictures at a path, one after the other, until `end`. */
class Pictures {
  private isEnded = false;
  private timer: number | undefined;
  private address = "";

  constructor(
    private readonly at: string,
    /** Is given the address of each; an empty one if there is none. */
    private readonly onPicture: (address: string) => void,
  ) {
    void this.next();
  }

  end(): void {
    this.isEnded = true;
    clearTimeout(this.timer);
    URL.revokeObjectURL(this.address);
  }

  private async next(): Promise<void> {
    const picture = document.hidden ? null : await blob(this.at).catch(() => null);
    if (this.isEnded) return;
    if (picture) {
      const old = this.address;
      this.address = URL.createObjectURL(picture);
      this.onPicture(this.address);
      URL.revokeObjectURL(old);
    } else if (!document.hidden) {
      this.onPicture("");
    }
    this.timer = window.setTimeout(() => void this.next(), picture ? PICTURE_MS : RETRY_MS);
  }
}
