// The finished chunks, newest first: play, size, download.
import { useState } from "react";
import type { Chunk } from "../../api/types";
import { Button, IconButton } from "../../kit/Button";
import { Icon } from "../../kit/Icon";
import { Skeleton } from "../../kit/States";
import { device as text } from "../../strings/en/device";
import { bytes, duration, time } from "../../time/format";

/** Shown before "all". */
const ROWS = 12;

interface Props {
  device: string;
  chunks: Chunk[] | undefined;
  play: (chunk: Chunk) => void;
}

export function ChunkList({ device, chunks, play }: Props) {
  const [all, setAll] = useState(false);
  if (!chunks) return <Skeleton className="chunks-skeleton" />;
  if (chunks.length === 0) return <p className="dim">{text.noChunks}</p>;
  const shown = all ? chunks : chunks.slice(0, ROWS);
  return (
    <>
      <ol className="chunks">
        {shown.map((chunk) => {
          const file = `${device}-${chunk.start.replace(/[:.]/g, "-")}.mp4`;
          return (
            <li key={chunk.url}>
              <IconButton icon="play" label={text.play(time(chunk.start))} onClick={() => play(chunk)} />
              <span className="chunk-when" title={`${chunk.start} – ${chunk.end}\n${chunk.name}\n${chunk.codecs}`}>{time(chunk.start)}</span>
              <span className="chunk-size">
                {duration(chunk.duration_seconds)} · {bytes(chunk.bytes)}
                {chunk.gaps > 0 && <> · {text.gaps(chunk.gaps)}</>}
              </span>
              <a className="button quiet icon-only" href={chunk.url} download={file} title={text.download} aria-label={text.download}><Icon name="download" /></a>
            </li>
          );
        })}
      </ol>
      {chunks.length > ROWS && <Button kind="quiet" onClick={() => setAll(!all)}>{all ? text.showFewer : text.showAll(chunks.length)}</Button>}
    </>
  );
}
