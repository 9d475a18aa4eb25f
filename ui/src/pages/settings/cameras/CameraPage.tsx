// One camera, or the one to come: read, then edited or shown.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError } from "../../../api/error";
import { Link } from "../../../app/router";
import { Icon } from "../../../kit/Icon";
import { EmptyState, ErrorState, Skeleton } from "../../../kit/States";
import { useCan } from "../../../session/session";
import { common } from "../../../strings/en/common";
import { settings } from "../../../strings/en/settings";
import { cameras as text } from "../../../strings/en/settings_cameras";
import { CameraForm } from "./CameraForm";
import { Maintenance } from "./Maintenance";
import { readCamera } from "./queries";

export function CameraPage({ id }: { id: string }) {
  const can = useCan();
  const isNew = id === "+";
  // Read once: what is typed belongs to what was read, and a save tells when that has changed.
  const [started] = useState(() => Date.now());
  const { data: camera, error, refetch } = useQuery({
    queryKey: ["camera", id, started],
    queryFn: () => readCamera(id),
    enabled: !isNew,
    staleTime: Infinity,
    gcTime: 0,
    refetchOnWindowFocus: false,
  });
  const isMissing = error instanceof ApiError && error.kind === "not_found";
  return (
    <section>
      <header className="section-head">
        <Link to="/settings/cameras" className="button quiet icon-only" aria-label={settings.backTo(settings.cameras)} title={settings.backTo(settings.cameras)}><Icon name="back" /></Link>
        <h2>{isNew ? text.addTitle : camera ? camera.name || camera.id : id}</h2>
        {camera && <span className="tag">{text.origin[camera.origin]}</span>}
        <span className="spacer" />
        {camera && <Link className="button" to={`/device/${encodeURIComponent(id)}`}><Icon name="play" />{text.watch}</Link>}
      </header>
      {isMissing && <EmptyState icon="search" title={text.unknown(id)}><Link to="/settings/cameras">{settings.backTo(settings.cameras)}</Link></EmptyState>}
      {error && !isMissing && <ErrorState error={error} again={() => void refetch()} />}
      {!isNew && !camera && !error && <Skeleton className="settings-wait" />}
      {isNew && (can("admin") ? <CameraForm camera={null} /> : <EmptyState icon="settings" title={settings.notYours}>{common.somethingWrong}</EmptyState>)}
      {camera && (
        <>
          {camera.refused !== null && <p className="notice bad" role="alert">{text.refused(camera.refused)}</p>}
          {camera.origin === "file" && <p className="notice">{text.fileHint}{camera.shadows && ` ${text.shadows}`}</p>}
          {can("operator") && <Maintenance camera={camera} />}
          {can("admin") && <CameraForm camera={camera} />}
        </>
      )}
    </section>
  );
}
