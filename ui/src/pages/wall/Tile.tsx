// One camera: its newest picture, live while it is looked at, and what is wrong with it.
import { memo, useEffect, useRef, useState } from "react";
import { Link } from "../../app/router";
import { Icon } from "../../kit/Icon";
import { StatusBadge } from "../../kit/StatusBadge";
import { LivePlayer } from "../../player/live";
import { common } from "../../strings/en/common";
import { wall as text } from "../../strings/en/wall";
import { fullTime, time } from "../../time/format";
import { Thumbnail } from "./Thumbnail";
import type { TileFacts } from "./trouble";

interface Props {
  facts: TileFacts;
  isLive: boolean;
  /** The one that the Tab key leads to; arrows lead to the others. */
  isActive: boolean;
  showArea: boolean;
  /** It went out of sight while it was live. */
  gone: (id: string) => void;
}

export const Tile = memo(function Tile({ facts, isLive, isActive, showArea, gone }: Props) {
  const { id, name, area, status, trouble, since } = facts;
  useEffect(() => {
    if (isLive) return () => gone(id);
    return undefined;
  }, [isLive, id, gone]);
  return (
    <Link to={`/device/${encodeURIComponent(id)}`} className={`tile ${status}${trouble ? ` troubled ${trouble}` : ""}`} tabIndex={isActive ? 0 : -1} data-tile={id} data-trouble={trouble ?? undefined}>
      <div className="tile-picture">
        <Thumbnail id={id} hasPicture={facts.hasPicture} />
        {isLive && facts.hasPicture && <Live url={facts.playlistUrl} name={name} />}
        {trouble && (
          <p className="tile-trouble" title={since ? fullTime(new Date(since)) : undefined}>
            <Icon name="incidents" />
            <strong>{text.trouble[trouble]}</strong>
            {since && <span>{text.since(time(since))}</span>}
            {facts.reason && <span className="tile-reason" title={facts.reason}>{facts.reason}</span>}
          </p>
        )}
      </div>
      <div className="tile-foot">
        <span className="tile-name" title={name}>{name}</span>
        {showArea && area !== "" && <span className="tile-area">{area}</span>}
        <StatusBadge status={status} {...(since && !trouble ? { title: common.since(time(since)) } : {})} />
      </div>
    </Link>
  );
});

/** Over the picture, and only once it has one of its own. */
function Live({ url, name }: { url: string; name: string }) {
  const video = useRef<HTMLVideoElement>(null);
  const [hasPicture, setHasPicture] = useState(false);
  useEffect(() => {
    if (!video.current) return;
    const player = new LivePlayer(video.current, url, (view) => setHasPicture(view.hasPicture));
    player.setReady(true, "");
    return () => player.destroy();
  }, [url]);
  return (
    <div className={hasPicture ? "tile-live shown" : "tile-live"}>
      <video ref={video} aria-label={text.liveOf(name)} tabIndex={-1} muted autoPlay playsInline disablePictureInPicture />
      <span className="tile-badge">{text.live}</span>
    </div>
  );
}
