// The row below the picture: play, step, jump, speed, sound, and what to do with the picture.
import { useEffect, useRef } from "react";
import { IconButton, Button } from "../../kit/Button";
import { Menu } from "../../kit/Menu";
import { SPEEDS, type Playback } from "../../player/playback";
import { usePlayback } from "../../player/Stage";
import { device as text } from "../../strings/en/device";
import { clockTime, dayName } from "../../time/format";

export interface Actions {
  incident: (direction: 1 | -1) => void;
  shot: () => void;
  inset: () => void;
  full: () => void;
  calendar: () => void;
  cut: () => void;
  zoom: (factor: number) => void;
}

export function Controls({ playback, actions, isCutting }: { playback: Playback; actions: Actions; isCutting: boolean }) {
  const view = usePlayback(playback);
  const isLive = view.mode === "live";
  return (
    <div className="controls" role="toolbar" aria-label={text.picture("")}>
      <div className="controls-group">
        <IconButton icon="incidentBack" label={text.incidentBack} data-act="incident-back" onClick={() => actions.incident(-1)} />
        <IconButton icon="frameBack" label={text.frameBack} data-act="frame-back" onClick={() => playback.step(-1)} />
        <IconButton icon={view.isPaused ? "play" : "pause"} label={view.isPaused ? text.playIt : text.pause} data-act="play" className="controls-play" onClick={playback.toggle} />
        <IconButton icon="frameNext" label={text.frameNext} data-act="frame-next" onClick={() => playback.step(1)} />
        <IconButton icon="incidentNext" label={text.incidentNext} data-act="incident-next" onClick={() => actions.incident(1)} />
      </div>
      <Moment playback={playback} />
      <span className="spacer" />
      <div className="controls-group">
        <Menu
          label={text.speed}
          icon="next"
          text={text.times(view.rate)}
          items={SPEEDS.map((rate) => ({ label: text.times(rate), disabled: isLive && rate > 1, ...(rate === view.rate ? { icon: "check" as const } : {}), act: () => playback.setRate(rate) }))}
        />
        <IconButton icon={view.isMuted ? "muted" : "volume"} label={view.isMuted ? text.unmute : text.mute} data-act="mute" onClick={() => playback.setVolume(view.volume || 1, !view.isMuted)} />
        <input
          className="controls-volume"
          type="range"
          min="0"
          max="1"
          step="0.05"
          aria-label={text.volume}
          value={view.isMuted ? 0 : view.volume}
          onChange={(event) => playback.setVolume(Number(event.target.value))}
        />
      </div>
      <div className="controls-group">
        <IconButton icon="scissors" label={text.cut} data-act="cut" aria-pressed={isCutting} onClick={actions.cut} />
        <IconButton icon="shot" label={text.shot} data-act="shot" disabled={!view.hasPicture} onClick={actions.shot} />
        <IconButton icon="inset" label={text.inset} data-act="inset" disabled={!view.hasPicture} onClick={actions.inset} />
        <IconButton icon="full" label={text.full} data-act="full" onClick={actions.full} />
      </div>
    </div>
  );
}

/** Date and time of the picture: changes with every picture, past React. */
function Moment({ playback }: { playback: Playback }) {
  const element = useRef<HTMLTimeElement>(null);
  useEffect(() => {
    let shown = "";
    const say = (at: number) => {
      const now = `${dayName(at)} ${clockTime(at)}`;
      if (now === shown || !element.current) return;
      shown = now;
      const [day, time] = [...element.current.children];
      if (day && time) [day.textContent, time.textContent] = [dayName(at), clockTime(at)];
    };
    say(playback.now());
    playback.movers.add(say);
    return () => void playback.movers.delete(say);
  }, [playback]);
  return (
    <time className="controls-moment" ref={element}>
      <span className="dim" />
      <strong />
    </time>
  );
}

/** Live ⇄ 24 h. */
export function ModeSwitch({ playback, day, ready }: { playback: Playback; day: () => void; ready: boolean }) {
  const view = usePlayback(playback);
  const isLive = view.mode === "live";
  return (
    <div className="mode" role="group" aria-label={text.mode}>
      <Button data-act="live" aria-pressed={isLive} disabled={!ready && !isLive} onClick={playback.goLive}><span className="mode-dot" />{text.liveNow}<Delay seconds={isLive ? view.delaySeconds : null} /></Button>
      <Button data-act="day" aria-pressed={!isLive} onClick={day}>{text.hours24}</Button>
    </div>
  );
}

/** How far the picture is behind: the true one, measured. Its place is kept, so that nothing moves. */
function Delay({ seconds }: { seconds: number | null }) {
  return <span className="mode-delay" title={text.delayHint} {...(seconds === null ? {} : { "data-delay": seconds })}>{seconds === null ? "" : text.delay(seconds)}</span>;
}
