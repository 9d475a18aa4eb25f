// What everybody may see: one camera live, the others by name.
import { useState } from "react";
import { Player } from "../../player/Player";
import type { Me } from "../../api/types";
import { device } from "../../strings/en/device";
import { login as text } from "../../strings/en/login";

export function Open({ cameras }: { cameras: Me["live"] }) {
  const [chosen, choose] = useState(cameras[0]?.id);
  const camera = cameras.find((one) => one.id === chosen) ?? cameras[0];
  if (!camera) return null;
  return (
    <section className="door-open" aria-labelledby="open-title">
      <h2 id="open-title">{text.open}</h2>
      <figure>
        <Player key={camera.id} playlistUrl={camera.playlist_url} label={device.picture(camera.name)} ready why="" />
        <figcaption><strong>{camera.name}</strong><span className="dim">{camera.area}</span></figcaption>
      </figure>
      {cameras.length > 1 && (
        <ul className="door-cameras">
          {cameras.map((one) => (
            <li key={one.id}>
              <button type="button" aria-pressed={one.id === camera.id} aria-label={text.choose(one.name)} onClick={() => choose(one.id)}>{one.name}</button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
