// Assets: files for scenes, with thumbnails; uploading and deleting them.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { blob, get, path, remove, upload } from "../api";
import { bytes, integer } from "../format";
import { Empty, Panel } from "../parts/bits";
import { Confirm } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { attempt, model, toast, tried } from "../store";
import type { Asset, AssetList, Snapshot } from "../types";

/** What a file may be called: the node refuses other names. */
const PLAIN = /[^A-Za-z0-9._-]+/g;

export function AssetsView({ snapshot }: { snapshot: Snapshot }) {
  const canWrite = snapshot.node.can_write;
  const [list, setList] = useState<AssetList | null>(null);
  const [problem, setProblem] = useState("");
  const read = useCallback(async () => {
    try {
      setList(await get<AssetList>(path("assets")));
      setProblem("");
    } catch (error) {
      setProblem(String((error as Error).message));
    }
  }, []);
  useEffect(() => void read(), [read]);
  return (
    <Panel
      title="Assets"
      class={model.phase === "lost" ? "stale" : ""}
      actions={list && <small class="room">{room(list)}</small>}
    >
      {problem && <p class="problem">{problem}</p>}
      {list && canWrite && <Upload list={list} onDone={read} />}
      {list && <Assets {...{ list, canWrite }} onDone={read} />}
    </Panel>
  );
}

function room(list: AssetList): string {
  const files = `${integer(list.assets.length)} of ${integer(list.files_max)} files`;
  return `${files}, ${bytes(list.bytes)} of ${bytes(list.total_bytes_max)}`;
}

function Upload({ list, onDone }: { list: AssetList; onDone: () => Promise<void> }) {
  const input = useRef<HTMLInputElement>(null);
  const [coming, setComing] = useState("");
  const [isOver, setOver] = useState(false);
  const take = async (files: FileList | null | undefined) => {
    for (const file of files ?? []) {
      const name = file.name.replace(PLAIN, "-").replace(/^[._-]+/, "");
      if (file.size > list.file_bytes_max) {
        toast("bad", `${file.name} is above ${bytes(list.file_bytes_max)}`);
        continue;
      }
      setComing(name);
      await attempt(() => upload(path("assets", name), file), `${name} uploaded`);
      await onDone();
    }
    setComing("");
  };
  return (
    <section
      class={`drop ${isOver ? "over" : ""}`}
      aria-label="Upload files"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void take(event.dataTransfer?.files);
      }}
    >
      <button type="button" disabled={coming !== ""} onClick={() => input.current?.click()}>
        <Icon name="plus" />
        {coming ? `Uploading ${coming}` : "Upload files"}
      </button>
      <small>
        or drop them here: pictures, fonts, videos of at most {bytes(list.file_bytes_max)}
      </small>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="Files to upload"
        accept=".png,.jpg,.jpeg,.webp,.avif,.gif,.svg,.ttf,.otf,.mp4,.mov,.mkv,.webm"
        onChange={(event) => {
          const chosen = event.currentTarget;
          // The same file can be chosen again once it has changed.
          void take(chosen.files).then(() => {
            chosen.value = "";
          });
        }}
      />
    </section>
  );
}

interface AssetsProps {
  list: AssetList;
  canWrite: boolean;
  onDone: () => Promise<void>;
}

function Assets({ list, canWrite, onDone }: AssetsProps) {
  if (list.assets.length === 0) {
    return (
      <Empty title="There are no assets">
        <p>Files that are uploaded are kept in {list.folder}; layers of scenes name their paths.</p>
      </Empty>
    );
  }
  return (
    <ul class="assets">
      {list.assets.map((asset) => (
        <Card key={asset.name} {...{ asset, canWrite, onDone }} />
      ))}
    </ul>
  );
}

interface CardProps {
  asset: Asset;
  canWrite: boolean;
  onDone: () => Promise<void>;
}

function Card({ asset, canWrite, onDone }: CardProps) {
  const [isAsking, setAsking] = useState(false);
  const confirm = async () => {
    const found = await tried(() => remove(path("assets", asset.name)), `${asset.name} deleted`);
    if (!found) await onDone();
    return found;
  };
  return (
    <li data-asset={asset.name}>
      <Thumbnail asset={asset} />
      <div>
        <strong>{asset.name}</strong>
        <small>
          {asset.kind}, {bytes(asset.bytes)}
        </small>
        <code>{asset.path}</code>
      </div>
      {canWrite && (
        <button
          type="button"
          class="ghost square"
          aria-label={`Delete ${asset.name}`}
          onClick={() => setAsking(true)}
        >
          <Icon name="trash" />
        </button>
      )}
      {isAsking && (
        <Confirm
          title={`Delete ${asset.name}?`}
          text="The file is gone for good. It stays while a scene shows it."
          action="Delete"
          onClose={() => setAsking(false)}
          onConfirm={confirm}
        />
      )}
    </li>
  );
}

function Thumbnail({ asset }: { asset: Asset }) {
  const [source, setSource] = useState("");
  const { name, kind, changed_at } = asset;
  useEffect(() => {
    if (kind !== "image") return;
    let url = "";
    let isGone = false;
    blob(path("assets", name, "thumbnail"))
      .then((found) => {
        if (isGone) return;
        url = URL.createObjectURL(found);
        setSource(url);
      })
      // Without it the kind stands there.
      .catch(() => setSource(""));
    return () => {
      isGone = true;
      if (url) URL.revokeObjectURL(url);
    };
  }, [name, kind, changed_at]);
  return <div class="thumbnail">{source ? <img src={source} alt="" /> : <span>{kind}</span>}</div>;
}
