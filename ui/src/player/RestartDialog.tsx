// The last seconds of a device in a dialog, over and over: what just happened. `<RestartDialog device={…} onClose={…} />`.
import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { address, ask } from "../api/client";
import { messageOf } from "../api/error";
import { Link } from "../app/router";
import { Button } from "../kit/Button";
import { Dialog } from "../kit/Dialog";
import { Icon } from "../kit/Icon";
import { player as text } from "../strings/en/player";
import { clockTime } from "../time/format";
import { encoded } from "./encoded";
import "./restart.css";

const LENGTHS = [10, 30, 60];

interface Props {
  device: { id: string; name: string };
  onClose: () => void;
}

export function RestartDialog({ device, onClose }: Props) {
  const [seconds, setSeconds] = useState(10);
  const video = useRef<HTMLVideoElement>(null);
  const [isShown, setShown] = useState(false);
  const [percent, setPercent] = useState<number | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const { data, error, mutate, isPending } = useMutation({
    mutationFn: (duration_seconds: number) => ask("POST /api/host/restart-video/{device}", { path: { device: device.id }, body: { duration_seconds } }),
  });
  useEffect(() => mutate(seconds), [mutate, seconds]);

  // One that cannot be shown here plays its sound alone, or not at all: then it is asked for as H.264.
  const asH264 = useRef<AbortController | null>(null);
  useEffect(() => {
    setPercent(null);
    setFault(null);
    return () => {
      asH264.current?.abort();
      asH264.current = null;
    };
  }, [data]);
  const another = async () => {
    if (!data || asH264.current) return;
    const end = new AbortController();
    asH264.current = end;
    const wish = { start: data.start, end: data.end, codec: "h264" } as const;
    try {
      const { url } = await encoded(device.id, wish, end.signal, (part) => setPercent(Math.round(part * 100)));
      setPercent(null);
      if (video.current && !end.signal.aborted) video.current.src = url;
    } catch (problem) {
      if (end.signal.aborted) return;
      setPercent(null);
      setFault(messageOf(problem));
    }
  };
  const loaded = () => {
    if (video.current && video.current.videoWidth > 0) setShown(true);
    else void another();
  };
  const wrong = error ? messageOf(error) : fault;
  const note = wrong !== null ? `${text.restart.failed} ${wrong}` : percent !== null ? text.restart.encoding(percent) : isShown ? "" : text.restart.fetching;
  return (
    <Dialog
      wide
      title={text.restart.title(device.name)}
      close={onClose}
      actions={
        <>
          <span className="restart-span dim">{data && text.restart.span(clockTime(new Date(data.start)), clockTime(new Date(data.end)))}</span>
          <Button onClick={() => mutate(seconds)} disabled={isPending}>{text.restart.again}</Button>
          {data && (
            <>
              <a className="button" href={data.video_url} download={`${device.id}-${data.start.replace(/[:.]/g, "-")}.mp4`}><Icon name="download" />{text.restart.download}</a>
              <Link className="button primary" to={`/device/${encodeURIComponent(device.id)}?t=${data.start}&zoom=60`} onClick={onClose}>{text.restart.open}</Link>
            </>
          )}
        </>
      }
    >
      <div className="restart-lengths" role="group" aria-label={text.restart.lengths}>
        {LENGTHS.map((one) => <Button key={one} aria-pressed={one === seconds} onClick={() => setSeconds(one)}>{text.restart.seconds(one)}</Button>)}
      </div>
      <div className="restart-picture">
        {/* The newest picture stands there until the first of the past comes. */}
        <video
          ref={video}
          src={data?.video_url}
          poster={address("GET /api/host/screenshot/{device}", { device: device.id }, { width: 960 })}
          aria-label={text.restart.picture(device.name)}
          controls
          autoPlay
          muted
          loop
          playsInline
          onLoadedData={loaded}
          onError={() => void another()}
        />
        <p className="restart-note" role="status" hidden={note === ""}>{note}</p>
      </div>
    </Dialog>
  );
}
