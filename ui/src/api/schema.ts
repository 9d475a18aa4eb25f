// Made by `npm run api` of openapi.json. Not to be edited: src/api/types.ts gives names to what is used.

type Nothing = Record<never, never>;

/** Every operation of the daemon: `METHOD /path`. */
export interface Operations {
  /** The page, and of each address that it makes of itself: `/device/{id}`, `/incidents`, `/system`, `/settings` */
  "GET /": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** Areas and the cameras in them */
  "GET /api/areas": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      areas: {
        cameras: string[];
        name: string;
      }[];
    };
  };
  /** One more */
  "POST /api/areas": {
    path: Nothing;
    query: Nothing;
    body: {
      name: string;
    };
    reply: {
      cameras: string[];
      name: string;
    };
  };
  /** One of them */
  "GET /api/areas/{name}": {
    path: { "name": string };
    query: Nothing;
    body: undefined;
    reply: {
      cameras: string[];
      name: string;
    };
  };
  /** Another name for it and its cameras; nothing is restarted */
  "PUT /api/areas/{name}": {
    path: { "name": string };
    query: Nothing;
    body: {
      name: string;
    };
    reply: {
      cameras: string[];
      name: string;
    };
  };
  /** One without cameras goes */
  "DELETE /api/areas/{name}": {
    path: { "name": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** Who changed what, newest first */
  "GET /api/audit": {
    path: Nothing;
    query: { "limit"?: number; "before"?: number };
    body: undefined;
    reply: {
      entries: {
        action: string;
        after: Record<string, unknown> | null;
        at: string;
        before: Record<string, unknown> | null;
        id: number;
        subject: string;
        who: string;
      }[];
    };
  };
  /** Signs in: a cookie, and the token that changes must bring besides it */
  "POST /api/auth/login": {
    path: Nothing;
    query: Nothing;
    body: {
      password: string;
      username: string;
    };
    reply: {
      csrf_token: string;
      session_seconds: number;
      success: boolean;
      user: {
        areas: string[];
        cameras: string[];
        name: string;
        role: "viewer" | "operator" | "admin" | null;
      };
    };
  };
  /** Ends the session */
  "POST /api/auth/logout": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      success: boolean;
    };
  };
  /** Who asks, and what everybody may see live */
  "GET /api/auth/me": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      auth: boolean;
      csrf_token?: string;
      live: {
        area: string;
        id: string;
        name: string;
        playlist_url: string;
      }[];
      user: {
        areas: string[];
        cameras: string[];
        name: string;
        role: "viewer" | "operator" | "admin" | null;
      } | null;
    };
  };
  /** One's own password: all one's sessions end, and another begins */
  "POST /api/auth/password": {
    path: Nothing;
    query: Nothing;
    body: {
      new_password: string;
      password: string;
    };
    reply: {
      csrf_token: string;
      session_seconds: number;
      success: boolean;
      user: {
        areas: string[];
        cameras: string[];
        name: string;
        role: "viewer" | "operator" | "admin" | null;
      };
    };
  };
  /** Forgets all kept replies */
  "POST /api/cache/clear": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      data: {
        removed: number;
      };
      success: boolean;
    };
  };
  /** Forgets replies whose address holds this; `*` stands for anything */
  "POST /api/cache/invalidate": {
    path: Nothing;
    query: Nothing;
    body: {
      pattern: string;
    };
    reply: {
      data: {
        removed: number;
      };
      success: boolean;
    };
  };
  /** How often a reply was given again */
  "GET /api/cache/stats": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      data: {
        evictions: number;
        hitRate: string;
        hits: number;
        maxSize: number;
        misses: number;
        sets: number;
        size: number;
      };
      success: boolean;
    };
  };
  /** What is configured, passwords apart */
  "GET /api/cameras": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      cameras: {
        area: string;
        audio: "auto" | "off";
        changed: string | null;
        created: string | null;
        detect: Record<string, unknown>;
        enabled: boolean;
        fps?: number;
        id: string;
        live: Record<string, unknown>;
        name: string;
        origin: "file" | "api";
        quality: "low" | "sd" | "hd" | "copy";
        refused: string | null;
        revision: number | null;
        shadows: boolean;
        size?: string;
        source: Record<string, unknown>;
      }[];
      complete: boolean;
    };
  };
  /** One more; it records at once */
  "POST /api/cameras": {
    path: Nothing;
    query: Nothing;
    body: {
      area?: string;
      audio?: "auto" | "off";
      detect?: Record<string, unknown>;
      enabled?: boolean;
      fps?: number;
      id?: string;
      live?: Record<string, unknown>;
      name?: string;
      quality?: "low" | "sd" | "hd" | "copy";
      size?: string;
      source: Record<string, unknown>;
    };
    reply: {
      area: string;
      audio: "auto" | "off";
      changed: string | null;
      created: string | null;
      detect: Record<string, unknown>;
      enabled: boolean;
      fps?: number;
      id: string;
      live: Record<string, unknown>;
      name: string;
      origin: "file" | "api";
      quality: "low" | "sd" | "hd" | "copy";
      refused: string | null;
      revision: number | null;
      shadows: boolean;
      size?: string;
      source: Record<string, unknown>;
    };
  };
  /** How each camera does, and how much of the day it recorded */
  "GET /api/cameras/active": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      cameras: {
        area: string;
        availability_24h: number | null;
        enabled: boolean;
        id: string;
        last_seen: string | null;
        message: string | null;
        name: string;
        reason: string | null;
        since: string | null;
        source: "test" | "file" | "rtsp" | "http" | "v4l2" | "screen" | "replay";
        status: "starting" | "online" | "degraded" | "offline" | "failed" | "disabled";
        uptime_seconds: number | null;
      }[];
      online: number;
      total: number;
    };
  };
  /** Opens a source for 5 s at most: what it is, and a picture of it */
  "POST /api/cameras/probe": {
    path: Nothing;
    query: Nothing;
    body: {
      fps?: number;
      id?: string;
      source: Record<string, unknown>;
    };
    reply: {
      audio: {
        channels: number;
        codec: string;
        flows: boolean;
        sample_rate: number;
      } | null;
      format: string;
      message: string | null;
      ok: boolean;
      reason: string | null;
      seconds: number;
      still: string | null;
      video: {
        codec: string;
        copy: boolean;
        fps: number | null;
        height: number;
        width: number;
      } | null;
      words: string[];
    };
  };
  /** One of them; its ETag is wanted for changes */
  "GET /api/cameras/{id}": {
    path: { "id": string };
    query: Nothing;
    body: undefined;
    reply: {
      area: string;
      audio: "auto" | "off";
      changed: string | null;
      created: string | null;
      detect: Record<string, unknown>;
      enabled: boolean;
      fps?: number;
      id: string;
      live: Record<string, unknown>;
      name: string;
      origin: "file" | "api";
      quality: "low" | "sd" | "hd" | "copy";
      refused: string | null;
      revision: number | null;
      shadows: boolean;
      size?: string;
      source: Record<string, unknown>;
    };
  };
  /** Another form of it; needs If-Match */
  "PUT /api/cameras/{id}": {
    path: { "id": string };
    query: Nothing;
    body: {
      area?: string;
      audio?: "auto" | "off";
      detect?: Record<string, unknown>;
      enabled?: boolean;
      fps?: number;
      id?: string;
      live?: Record<string, unknown>;
      name?: string;
      quality?: "low" | "sd" | "hd" | "copy";
      size?: string;
      source: Record<string, unknown>;
    };
    reply: {
      area: string;
      audio: "auto" | "off";
      changed: string | null;
      created: string | null;
      detect: Record<string, unknown>;
      enabled: boolean;
      fps?: number;
      id: string;
      live: Record<string, unknown>;
      name: string;
      origin: "file" | "api";
      quality: "low" | "sd" | "hd" | "copy";
      refused: string | null;
      revision: number | null;
      shadows: boolean;
      size?: string;
      source: Record<string, unknown>;
    };
  };
  /** It goes, its footage stays until it expires; needs If-Match */
  "DELETE /api/cameras/{id}": {
    path: { "id": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** The same for people */
  "GET /api/docs": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** What happens, as server-sent events */
  "GET /api/events": {
    path: Nothing;
    query: { "topics"?: string; "device"?: string; "after"?: number };
    body: undefined;
    reply: unknown;
  };
  /** How far the encoding of a clip is */
  "GET /api/host/clip-jobs/{id}": {
    path: { "id": string };
    query: Nothing;
    body: undefined;
    reply: {
      compression_ratio?: number;
      count: number;
      job_url: string;
      progress: number;
      size: number;
      state: "queued" | "running" | "done";
      success: boolean;
      url?: string;
    };
  };
  /** Takes the job back, or its result */
  "DELETE /api/host/clip-jobs/{id}": {
    path: { "id": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** What a clip encoded anew came to */
  "GET /api/host/clip-jobs/{id}.mp4": {
    path: { "id": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** Any span as one MP4, made while it is read */
  "GET /api/host/clip/{device}.mp4": {
    path: { "device": string };
    query: { "start": string | number; "end"?: string | number; "duration"?: number; "gap"?: "keep" | "skip"; "tracks"?: "all" | "audio"; "explain"?: "0" | "1"; "preset"?: "fast" | "medium" | "high" | "low" | "pi_optimized"; "codec"?: "h264" };
    body: undefined;
    reply: unknown;
  };
  /** One line per check; 503 when any fails */
  "GET /api/host/health": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      checks: {
        device?: string;
        message: string;
        name: string;
        ok: boolean;
      }[];
      ok: boolean;
    };
  };
  /** The worst of every minute and device, a letter each; the last day unless told */
  "GET /api/host/heatmap": {
    path: Nothing;
    query: { "from"?: string | number; "to"?: string | number; "duration"?: number; "step"?: number };
    body: undefined;
    reply: {
      devices: {
        device_id: string;
        device_name: string;
        states: string;
      }[];
      from: string;
      incidents_complete: boolean;
      minutes: string[];
      step_seconds: number;
      to: string;
    };
  };
  /** Stills of all devices in that minute */
  "GET /api/host/heatmap/{minute}.jpg": {
    path: { "minute": string };
    query: { "date"?: string };
    body: undefined;
    reply: unknown;
  };
  /** How all devices did in that minute */
  "GET /api/host/heatmap/{minute}.json": {
    path: { "minute": string };
    query: { "date"?: string };
    body: undefined;
    reply: {
      devices: {
        analysis_json: {
          audio: boolean | null;
          blackscreen: boolean | null;
          blackscreen_percent?: number;
          frames: number;
          freeze: boolean | null;
          freeze_percent?: number;
          incidents?: ("blackscreen" | "freeze" | "silence" | "signal_lost")[];
          mean_volume_db: number | null;
          silence_percent?: number;
          volume_percentage: number | null;
        };
        device_id: string;
        device_name: string;
        host_name: string;
        image_url: string | null;
        status: "ok" | "ko" | "unknown";
      }[];
      incidents_complete: boolean;
      incidents_count: number;
      time_key: string;
      timestamp: string;
    };
  };
  /** Stills of those with an incident */
  "GET /api/host/heatmap/{minute}_ko.jpg": {
    path: { "minute": string };
    query: { "date"?: string };
    body: undefined;
    reply: unknown;
  };
  /** Stills of those that were well */
  "GET /api/host/heatmap/{minute}_ok.jpg": {
    path: { "minute": string };
    query: { "date"?: string };
    body: undefined;
    reply: unknown;
  };
  /** The host's last day, minute by minute since the start */
  "GET /api/host/history": {
    path: Nothing;
    query: { "from"?: string | number };
    body: undefined;
    reply: {
      at: string[];
      cpu_percent: number[];
      hot_bytes: number[];
      io_pressure_percent: (number | null)[];
      io_wait_percent: number[];
      lost_seconds: number[];
      media_bytes: number[];
      step_seconds: number;
      writes: number[];
      written_bytes: number[];
    };
  };
  /** Black, frozen, silent or gone: newest first */
  "GET /api/host/incidents": {
    path: Nothing;
    query: { "device"?: string; "kind"?: "blackscreen" | "freeze" | "silence" | "signal_lost"; "open"?: "0" | "1" | "false" | "true"; "from"?: string | number; "to"?: string | number; "acknowledged"?: "0" | "1" | "false" | "true"; "discarded"?: "0" | "1" | "false" | "true"; "limit"?: number; "after"?: string };
    body: undefined;
    reply: {
      incidents: {
        acknowledged: boolean;
        comment: string;
        device: string;
        discarded: boolean;
        duration_seconds: number;
        end: string | null;
        evidence: string[];
        host: string;
        id: string;
        kind: "blackscreen" | "freeze" | "silence" | "signal_lost";
        severity: "minor" | "major" | "critical";
        start: string;
        state: "open" | "closed";
      }[];
      next?: string;
    };
  };
  /** What somebody says of many */
  "PATCH /api/host/incidents": {
    path: Nothing;
    query: Nothing;
    body: {
      acknowledged?: boolean;
      comment?: string;
      discarded?: boolean;
      ids: string[];
    };
    reply: {
      incidents: {
        acknowledged: boolean;
        comment: string;
        device: string;
        discarded: boolean;
        duration_seconds: number;
        end: string | null;
        evidence: string[];
        host: string;
        id: string;
        kind: "blackscreen" | "freeze" | "silence" | "signal_lost";
        severity: "minor" | "major" | "critical";
        start: string;
        state: "open" | "closed";
      }[];
      missing: string[];
    };
  };
  /** The same as a table, all pages in one; `limit` is the most rows */
  "GET /api/host/incidents.csv": {
    path: Nothing;
    query: { "device"?: string; "kind"?: "blackscreen" | "freeze" | "silence" | "signal_lost"; "open"?: "0" | "1" | "false" | "true"; "from"?: string | number; "to"?: string | number; "acknowledged"?: "0" | "1" | "false" | "true"; "discarded"?: "0" | "1" | "false" | "true"; "limit"?: number; "after"?: string };
    body: undefined;
    reply: unknown;
  };
  /** One of them */
  "GET /api/host/incidents/{id}": {
    path: { "id": string };
    query: Nothing;
    body: undefined;
    reply: {
      acknowledged: boolean;
      comment: string;
      device: string;
      discarded: boolean;
      duration_seconds: number;
      end: string | null;
      evidence: string[];
      host: string;
      id: string;
      kind: "blackscreen" | "freeze" | "silence" | "signal_lost";
      severity: "minor" | "major" | "critical";
      start: string;
      state: "open" | "closed";
    };
  };
  /** What somebody says of it */
  "PATCH /api/host/incidents/{id}": {
    path: { "id": string };
    query: Nothing;
    body: {
      acknowledged?: boolean;
      comment?: string;
      discarded?: boolean;
    };
    reply: {
      acknowledged: boolean;
      comment: string;
      device: string;
      discarded: boolean;
      duration_seconds: number;
      end: string | null;
      evidence: string[];
      host: string;
      id: string;
      kind: "blackscreen" | "freeze" | "silence" | "signal_lost";
      severity: "minor" | "major" | "critical";
      start: string;
      state: "open" | "closed";
    };
  };
  /** Whether somebody works on it */
  "GET /api/host/maintenance/{device}": {
    path: { "device": string };
    query: Nothing;
    body: undefined;
    reply: {
      active: boolean;
      device: string;
      from: string | null;
      until: string | null;
      why: string | null;
    };
  };
  /** Somebody works on it: its incidents are not told until then */
  "PUT /api/host/maintenance/{device}": {
    path: { "device": string };
    query: Nothing;
    body: {
      until: string | number;
      why?: string;
    };
    reply: {
      active: boolean;
      device: string;
      from: string | null;
      until: string | null;
      why: string | null;
    };
  };
  /** It is done */
  "DELETE /api/host/maintenance/{device}": {
    path: { "device": string };
    query: Nothing;
    body: undefined;
    reply: {
      active: boolean;
      device: string;
      from: string | null;
      until: string | null;
      why: string | null;
    };
  };
  /** What was seen and heard, frame by frame; the last hour unless told */
  "GET /api/host/metadata/{device}": {
    path: { "device": string };
    query: { "from"?: string | number; "to"?: string | number; "duration"?: number; "step"?: number; "black"?: "0" | "1" | "false" | "true"; "freeze"?: "0" | "1" | "false" | "true"; "silence"?: "0" | "1" | "false" | "true"; "limit"?: number };
    body: undefined;
    reply: {
      count: number;
      device: string;
      end: string;
      frames: {
        audio: boolean | null;
        black: boolean | null;
        black_pct: number | null;
        frame: number;
        frames: number;
        freeze: boolean | null;
        freeze_diff: number | null;
        mean_volume_db: number | null;
        no_signal: boolean;
        skipped: number;
        time: string;
        volume_percentage: number | null;
      }[];
      next: string | null;
      start: string;
      step_seconds: number | null;
    };
  };
  /** Ranges that must stay, by device and start */
  "GET /api/host/pins": {
    path: Nothing;
    query: { "device"?: string };
    body: undefined;
    reply: {
      pins: {
        active: boolean;
        by: string;
        created: string;
        device: string;
        end: string;
        id: number;
        original: boolean;
        start: string;
        until: string | null;
        why: string;
      }[];
    };
  };
  /** A range that must stay */
  "POST /api/host/pins": {
    path: Nothing;
    query: Nothing;
    body: {
      device: string;
      end: string | number;
      original?: boolean;
      start: string | number;
      until?: string | number | null;
      why: string;
    };
    reply: {
      active: boolean;
      by: string;
      created: string;
      device: string;
      end: string;
      id: number;
      original: boolean;
      start: string;
      until: string | null;
      why: string;
    };
  };
  /** One of them */
  "GET /api/host/pins/{id}": {
    path: { "id": string };
    query: Nothing;
    body: undefined;
    reply: {
      active: boolean;
      by: string;
      created: string;
      device: string;
      end: string;
      id: number;
      original: boolean;
      start: string;
      until: string | null;
      why: string;
    };
  };
  /** It may go like any other */
  "DELETE /api/host/pins/{id}": {
    path: { "id": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** HLS of any span; without `start` the last hour, without `end` it grows */
  "GET /api/host/playlist/{device}.m3u8": {
    path: { "device": string };
    query: { "start"?: string | number; "end"?: string | number; "duration"?: number; "multivariant"?: "0" | "1" };
    body: undefined;
    reply: unknown;
  };
  /** The preview still of a moment, or the last before it */
  "GET /api/host/preview/{device}": {
    path: { "device": string };
    query: { "at"?: string | number };
    body: undefined;
    reply: unknown;
  };
  /** Reads the settings file again: cameras, and settings that can be changed, change at once */
  "POST /api/host/reload": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      added: string[];
      changed: string[];
      needs_restart: string[];
      refused: {
        device: string;
        message: string;
      }[];
      removed: string[];
      settings: string[];
      thresholds: string[];
    };
  };
  /** The last seconds, as an address that stays good */
  "POST /api/host/restart-video/{device}": {
    path: { "device": string };
    query: Nothing;
    body: {
      duration_seconds: number;
    };
    reply: {
      end: string;
      start: string;
      success: boolean;
      video_id: string;
      video_url: string;
    };
  };
  /** The newest picture, or that of any past moment */
  "GET /api/host/screenshot/{device}": {
    path: { "device": string };
    query: { "at"?: string | number; "exact"?: "0" | "1" | "false" | "true"; "width"?: number };
    body: undefined;
    reply: unknown;
  };
  /** Where the hour plays; 404 when it is empty */
  "GET /api/host/segments/{device}/{hour}": {
    path: { "device": string; "hour": number };
    query: { "date"?: string };
    body: undefined;
    reply: {
      hour: number;
      manifest_url: string;
    };
  };
  /** A signed link: one range of one camera, for whoever has it, until it expires */
  "POST /api/host/share": {
    path: Nothing;
    query: Nothing;
    body: {
      device: string;
      end: string | number;
      expires: string | number;
      start: string | number;
    };
    reply: {
      clip_url: string;
      device: string;
      end: string;
      expires: string;
      playlist_url: string;
      share: string;
      start: string;
      still_url: string;
      url: string;
    };
  };
  /** All links that were ever signed end */
  "DELETE /api/host/share": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** Actors, devices, load, cleaner, archive */
  "GET /api/host/state": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      actors: {
        generation: number;
        last_exit: {
          at: string;
          kind: "normal" | "stopped" | "panic" | "arbiter_lost" | "hang";
          message?: string;
        } | null;
        name: string;
        restarts: number;
        state: "starting" | "running" | "restarting" | "failed" | "stopping" | "stopped";
      }[];
      archive: {
        error: string | null;
        free_bytes: number;
        min_free_bytes: number;
        ok: boolean;
        root: string;
        total_bytes: number;
      };
      cleaner: {
        backlog: boolean;
        error: string | null;
        evicted: number;
        expired: number;
        forecast: {
          bytes_per_day: number;
          days_until_full: number | null;
          holds_days: number;
          wanted_days: number;
        } | null;
        free_bytes: number;
        gate: "open" | "cpu" | "io_wait" | "volume" | "pins";
        hot_error: string | null;
        last_round: string | null;
        last_success: string | null;
        library: {
          copying: string | null;
          deleted: number;
          error: string | null;
          free_bytes: number;
          gate: "open" | "cpu" | "io_wait" | "volume" | "pins";
          is_full: boolean;
          library_bytes: number;
          moved: number;
          ok: boolean;
          root: string;
          total_bytes: number;
          unknown_files: number;
        } | null;
        library_bytes: number;
        originals_dropped: number;
        out_of_space: boolean;
        shelved: number;
        total_bytes: number;
        unknown_files: number;
        volume_error: string | null;
      };
      devices: {
        analysis: {
          age_seconds: number | null;
          at: string | null;
          audio: boolean | null;
          blackscreen: boolean | null;
          dropped: number;
          failed: number;
          freeze: boolean | null;
          mean_volume_db: number | null;
          queue_depth: number;
          skipped: number;
          volume_percentage: number | null;
        } | null;
        area: string | null;
        chunks: {
          bytes: number;
          count: number;
          newest: string | null;
          oldest: string | null;
        };
        chunks_sealed: number;
        commit_failures: number;
        committed_seconds: number;
        ffmpeg_restarts: number;
        frames_total: number;
        hot: {
          bytes: number;
          captures: number;
          losing: boolean;
          newest_picture_age_seconds: number | null;
          newest_segment_age_seconds: number | null;
          oldest_waiting_age_seconds: number | null;
          quota_bytes: number;
          segments: number;
          thumbnails: number;
          waiting: number;
          waiting_bytes: number;
        };
        id: string;
        lost_seconds: Record<string, number>;
        manifest_url: string;
        media_bytes: number;
        name: string;
        open_chunk: {
          bytes: number;
          end: string;
          start: string;
          url: string;
        } | null;
        playlist_url: string;
        reason: string | null;
        recorder: Record<string, unknown>;
        segment_faults: number;
        segments_total: number;
        since: string | null;
        source: "test" | "file" | "rtsp" | "http" | "v4l2" | "screen" | "replay";
        status: "starting" | "online" | "degraded" | "offline" | "failed" | "disabled";
        written_bytes: number;
      }[];
      host: {
        name: string;
        ready: boolean;
        time: string;
        version: string;
      };
      load: {
        cpu_percent: number;
        foreign_cpu_percent: number;
        io_pressure_percent: number | null;
        io_wait_percent: number;
        readings: number;
      };
      registry: {
        bytes: number;
        dropped: number;
        error: string | null;
        last_backup: string | null;
        open: Record<string, number>;
        queue: number;
        state: "opening" | "ready" | "failing" | "newer";
        transactions: number;
        written_bytes: number;
      };
      serving: {
        cache_hits: number;
        cache_misses: number;
        limited: number;
        overloaded: number;
        viewers: number;
        viewers_refused: number;
      };
      transcoder: {
        current: {
          began: string;
          bytes: number;
          device: string;
          file: string;
          paused_seconds: number;
          progress: number;
          speed: number;
          start: string;
        } | null;
        detail: string | null;
        enabled: boolean;
        forced: boolean;
        gate: "open" | "database" | "disabled" | "volume" | "library" | "schedule" | "cpu" | "io_wait" | "io_pressure" | "recorder" | "battery" | "thermal" | "space" | "encoder" | "write_budget" | "pause" | "error_pause" | "idle";
        next_run: string | null;
        originals: {
          bytes: number;
          count: number;
        };
        queued: number;
        since: string | null;
        state: "waiting" | "running" | "paused" | "disabled";
      };
      webhooks: {
        dropped: number;
        error: string | null;
        failed: number;
        id: string;
        kinds: string[];
        last_sent: string | null;
        receiver: string;
        sent: number;
        waiting: number;
      }[];
    };
  };
  /** The preview stills of the hour */
  "GET /api/host/thumbnails/{device}/{hour}": {
    path: { "device": string; "hour": number };
    query: { "date"?: string };
    body: undefined;
    reply: {
      count: number;
      hour: number;
      thumbnails: string[];
    };
  };
  /** What was recorded, what is missing and why; the last day unless told */
  "GET /api/host/timeline/{device}": {
    path: { "device": string };
    query: { "from"?: string | number; "to"?: string | number; "duration"?: number; "resolution"?: number };
    body: undefined;
    reply: {
      chunks: {
        bytes: number;
        codec: string;
        end: string;
        gaps: number;
        generation: number;
        name: string;
        pinned: boolean;
        sealed: boolean;
        start: string;
        url: string;
      }[];
      coverage: {
        codec: string;
        end: string;
        start: string;
      }[];
      device: string;
      end: string;
      exact: boolean;
      gaps: {
        end: string;
        reason: "not_kept" | "not_recorded" | "not_committed";
        start: string;
      }[];
      incidents: {
        acknowledged: boolean;
        comment: string;
        device: string;
        discarded: boolean;
        duration_seconds: number;
        end: string | null;
        evidence: string[];
        host: string;
        id: string;
        kind: "blackscreen" | "freeze" | "silence" | "signal_lost";
        severity: "minor" | "major" | "critical";
        start: string;
        state: "open" | "closed";
      }[];
      incidents_complete: boolean;
      start: string;
    };
  };
  /** Every route, as OpenAPI 3.1 */
  "GET /api/openapi.json": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: Record<string, unknown>;
  };
  /** The settings in force, secrets apart */
  "GET /api/settings": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      changeable: string[];
      changed_here: {
        archive: Record<string, unknown>;
        detect: Record<string, unknown>;
        notify: Record<string, unknown>;
        transcode: Record<string, unknown>;
      };
      file: {
        archive: Record<string, unknown>;
        detect: Record<string, unknown>;
        notify: Record<string, unknown>;
        transcode: Record<string, unknown>;
      };
      revision: number;
      settings: Record<string, unknown>;
      warnings: string[];
    };
  };
  /** Other settings, at once; needs If-Match */
  "PUT /api/settings": {
    path: Nothing;
    query: { "dry_run"?: boolean };
    body: {
      archive?: Record<string, unknown> | null;
      detect?: Record<string, unknown> | null;
      notify?: Record<string, unknown> | null;
      transcode?: Record<string, unknown> | null;
    };
    reply: {
      changeable: string[];
      changed_here: {
        archive: Record<string, unknown>;
        detect: Record<string, unknown>;
        notify: Record<string, unknown>;
        transcode: Record<string, unknown>;
      };
      file: {
        archive: Record<string, unknown>;
        detect: Record<string, unknown>;
        notify: Record<string, unknown>;
        transcode: Record<string, unknown>;
      };
      revision: number;
      settings: Record<string, unknown>;
      warnings: string[];
    } | {
      bytes: number;
      chunks: number;
      moved_bytes: number;
      moved_chunks: number;
      oldest_kept: string | null;
      warnings: string[];
    };
  };
  /** Sends a webhook one delivery to try it */
  "POST /api/settings/notify/test": {
    path: Nothing;
    query: Nothing;
    body: {
      id: string;
    };
    reply: {
      ms: number;
      status: number;
    };
  };
  /** Tokens of programs */
  "GET /api/tokens": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      tokens: {
        created: string;
        expires: string;
        id: string;
        name: string;
        scope: "read" | "operate" | "admin";
        token?: string;
        user: string;
      }[];
    };
  };
  /** A token for a program, told this once */
  "POST /api/tokens": {
    path: Nothing;
    query: Nothing;
    body: {
      expires: string | number;
      name: string;
      scope: "read" | "operate" | "admin";
      user?: string;
    };
    reply: {
      created: string;
      expires: string;
      id: string;
      name: string;
      scope: "read" | "operate" | "admin";
      token?: string;
      user: string;
    };
  };
  /** One of them */
  "GET /api/tokens/{token}": {
    path: { "token": string };
    query: Nothing;
    body: undefined;
    reply: {
      created: string;
      expires: string;
      id: string;
      name: string;
      scope: "read" | "operate" | "admin";
      token?: string;
      user: string;
    };
  };
  /** It ends */
  "DELETE /api/tokens/{token}": {
    path: { "token": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** What was transcoded, what is in work, and what holds it */
  "GET /api/transcode": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      average_savings_percent: number | null;
      errors: Record<string, number>;
      files_failed: number;
      files_rolled_back: number;
      files_transcoded: number;
      last_transcoded: string | null;
      space_saved: number;
      status: {
        current: {
          began: string;
          bytes: number;
          device: string;
          file: string;
          paused_seconds: number;
          progress: number;
          speed: number;
          start: string;
        } | null;
        detail: string | null;
        enabled: boolean;
        forced: boolean;
        gate: "open" | "database" | "disabled" | "volume" | "library" | "schedule" | "cpu" | "io_wait" | "io_pressure" | "recorder" | "battery" | "thermal" | "space" | "encoder" | "write_budget" | "pause" | "error_pause" | "idle";
        next_run: string | null;
        originals: {
          bytes: number;
          count: number;
        };
        queued: number;
        since: string | null;
        state: "waiting" | "running" | "paused" | "disabled";
      };
      target_savings_percent: number;
      total_original: number;
      total_transcoded: number;
      warning: string | null;
      written_today_bytes: number;
    };
  };
  /** No more after the file in work, over restarts */
  "POST /api/transcode/disable": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      average_savings_percent: number | null;
      errors: Record<string, number>;
      files_failed: number;
      files_rolled_back: number;
      files_transcoded: number;
      last_transcoded: string | null;
      space_saved: number;
      status: {
        current: {
          began: string;
          bytes: number;
          device: string;
          file: string;
          paused_seconds: number;
          progress: number;
          speed: number;
          start: string;
        } | null;
        detail: string | null;
        enabled: boolean;
        forced: boolean;
        gate: "open" | "database" | "disabled" | "volume" | "library" | "schedule" | "cpu" | "io_wait" | "io_pressure" | "recorder" | "battery" | "thermal" | "space" | "encoder" | "write_budget" | "pause" | "error_pause" | "idle";
        next_run: string | null;
        originals: {
          bytes: number;
          count: number;
        };
        queued: number;
        since: string | null;
        state: "waiting" | "running" | "paused" | "disabled";
      };
      target_savings_percent: number;
      total_original: number;
      total_transcoded: number;
      warning: string | null;
      written_today_bytes: number;
    };
  };
  /** Old footage is encoded anew, from now on */
  "POST /api/transcode/enable": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      average_savings_percent: number | null;
      errors: Record<string, number>;
      files_failed: number;
      files_rolled_back: number;
      files_transcoded: number;
      last_transcoded: string | null;
      space_saved: number;
      status: {
        current: {
          began: string;
          bytes: number;
          device: string;
          file: string;
          paused_seconds: number;
          progress: number;
          speed: number;
          start: string;
        } | null;
        detail: string | null;
        enabled: boolean;
        forced: boolean;
        gate: "open" | "database" | "disabled" | "volume" | "library" | "schedule" | "cpu" | "io_wait" | "io_pressure" | "recorder" | "battery" | "thermal" | "space" | "encoder" | "write_budget" | "pause" | "error_pause" | "idle";
        next_run: string | null;
        originals: {
          bytes: number;
          count: number;
        };
        queued: number;
        since: string | null;
        state: "waiting" | "running" | "paused" | "disabled";
      };
      target_savings_percent: number;
      total_original: number;
      total_transcoded: number;
      warning: string | null;
      written_today_bytes: number;
    };
  };
  /** Takes the kept original of a file back */
  "POST /api/transcode/rollback": {
    path: Nothing;
    query: Nothing;
    body: {
      file: string;
    };
    reply: {
      bytes: number;
      chunk: string;
      device: string;
      file: string;
      success: boolean;
    };
  };
  /** One file, or all that qualify; `force`: whatever the age and the time */
  "POST /api/transcode/run": {
    path: Nothing;
    query: Nothing;
    body: {
      all?: boolean;
      file?: string;
      force?: boolean;
    };
    reply: {
      gate: "open" | "database" | "disabled" | "volume" | "library" | "schedule" | "cpu" | "io_wait" | "io_pressure" | "recorder" | "battery" | "thermal" | "space" | "encoder" | "write_budget" | "pause" | "error_pause" | "idle";
      queued: number;
      success: boolean;
    };
  };
  /** Who may sign in */
  "GET /api/users": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      users: {
        areas: string[];
        cameras: string[];
        changed: string;
        created: string;
        name: string;
        password?: string;
        role: "viewer" | "operator" | "admin";
      }[];
    };
  };
  /** Another user; without a password one is made and told this once */
  "POST /api/users": {
    path: Nothing;
    query: Nothing;
    body: {
      areas?: string[];
      cameras?: string[];
      name: string;
      password?: string;
      role: "viewer" | "operator" | "admin";
    };
    reply: {
      areas: string[];
      cameras: string[];
      changed: string;
      created: string;
      name: string;
      password?: string;
      role: "viewer" | "operator" | "admin";
    };
  };
  /** One of them */
  "GET /api/users/{user}": {
    path: { "user": string };
    query: Nothing;
    body: undefined;
    reply: {
      areas: string[];
      cameras: string[];
      changed: string;
      created: string;
      name: string;
      password?: string;
      role: "viewer" | "operator" | "admin";
    };
  };
  /** Another role, password or rights; a password ends the sessions */
  "PATCH /api/users/{user}": {
    path: { "user": string };
    query: Nothing;
    body: {
      areas?: string[];
      cameras?: string[];
      password?: string;
      role?: "viewer" | "operator" | "admin";
    };
    reply: {
      areas: string[];
      cameras: string[];
      changed: string;
      created: string;
      name: string;
      password?: string;
      role: "viewer" | "operator" | "admin";
    };
  };
  /** With sessions and tokens; the last admin stays */
  "DELETE /api/users/{user}": {
    path: { "user": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** Who watches now, no later than 15 s */
  "GET /api/viewer/active": {
    path: Nothing;
    query: { "device"?: string };
    body: undefined;
    reply: {
      devices: Record<string, number>;
      sessions: {
        agent: string;
        began: string;
        client: string;
        device: string;
        ended: boolean;
        last: string;
        number: number;
        watched_seconds: number;
      }[];
      viewers: number;
    };
  };
  /** And is still there; 404: start anew */
  "POST /api/viewer/heartbeat": {
    path: Nothing;
    query: Nothing;
    body: {
      session: string;
    };
    reply: {
      device: string;
      expires_seconds: number;
    };
  };
  /** Who watched in the last 90 days, newest first, with the sums of each device over all pages */
  "GET /api/viewer/history": {
    path: Nothing;
    query: { "device"?: string; "from"?: string | number; "to"?: string | number; "limit"?: number; "before"?: number };
    body: undefined;
    reply: {
      next: number | null;
      sessions: {
        agent: string;
        began: string;
        client: string;
        device: string;
        ended: boolean;
        last: string;
        number: number;
        watched_seconds: number;
      }[];
      totals: {
        device: string;
        last: string;
        sessions: number;
        watched_seconds: number;
      }[];
    };
  };
  /** Somebody begins to watch */
  "POST /api/viewer/start": {
    path: Nothing;
    query: Nothing;
    body: {
      device: string;
    };
    reply: {
      device: string;
      expires_seconds: number;
      heartbeat_seconds: number;
      number: number;
      session: string;
    };
  };
  /** How many watch, and what could not be counted */
  "GET /api/viewer/stats": {
    path: Nothing;
    query: { "device"?: string };
    body: undefined;
    reply: {
      devices: Record<string, number>;
      forgotten: number;
      refused: number;
      viewers: number;
      viewers_max: number;
      waiting: number;
    };
  };
  /** And leaves */
  "POST /api/viewer/stop": {
    path: Nothing;
    query: Nothing;
    body: {
      session: string;
    };
    reply: {
      agent: string;
      began: string;
      client: string;
      device: string;
      ended: boolean;
      last: string;
      number: number;
      watched_seconds: number;
    };
  };
  /** Files of the page */
  "GET /assets/{name}": {
    path: { "name": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** The process serves */
  "GET /healthz": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      status: "ok" | "ready";
    };
  };
  /** The sound of 10 s of the hour */
  "GET /host/stream/{device}/audio/{hour}/audio_10s_{piece}.m4a": {
    path: { "device": string; "hour": number; "piece": string };
    query: { "date"?: string };
    body: undefined;
    reply: unknown;
  };
  /** The newest picture; 503 when it is no live one */
  "GET /host/stream/{device}/captures/latest.jpg": {
    path: { "device": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** What the newest picture shows and what is heard; null is unknown */
  "GET /host/stream/{device}/captures/latest.json": {
    path: { "device": string };
    query: Nothing;
    body: undefined;
    reply: {
      audio: boolean | null;
      black_percent: number | null;
      blackscreen: boolean | null;
      frame: string;
      freeze: boolean | null;
      freeze_diff: number | null;
      mean_volume_db: number | null;
      no_signal: boolean | null;
      t: number;
      volume_percentage: number | null;
    };
  };
  /** A chunk by the address it has for life */
  "GET /host/stream/{device}/chunks/{key}.mp4": {
    path: { "device": string; "key": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** A picture that proves an incident */
  "GET /host/stream/{device}/evidence/{date}/{name}.jpg": {
    path: { "device": string; "date": string; "name": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** The finished chunks of the ring */
  "GET /host/stream/{device}/segments/archive_manifest.json": {
    path: { "device": string };
    query: Nothing;
    body: undefined;
    reply: {
      manifests: {
        bytes: number;
        chunk_index: number;
        codecs: string;
        duration_seconds: number;
        end: string;
        end_time_seconds: number;
        gaps: number;
        name: string;
        start: string;
        start_time_seconds: number;
        url: string;
        window_index: number;
      }[];
      segments_per_window: number;
      total_duration_seconds: number;
      window_hours: number;
    };
  };
  /** The live playlist; 503 before the first segment */
  "GET /host/stream/{device}/segments/output.m3u8": {
    path: { "device": string };
    query: { "session"?: string };
    body: undefined;
    reply: unknown;
  };
  /** A live segment, from RAM */
  "GET /host/stream/{device}/segments/segment_{key}.ts": {
    path: { "device": string; "key": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** HLS of the hour */
  "GET /host/stream/{device}/segments/{hour}/archive.m3u8": {
    path: { "device": string; "hour": number };
    query: { "date"?: string; "multivariant"?: "0" | "1" };
    body: undefined;
    reply: unknown;
  };
  /** The clip of the hour */
  "GET /host/stream/{device}/segments/{hour}/archive_hour_{again}.mp4": {
    path: { "device": string; "hour": number; "again": number };
    query: { "date"?: string };
    body: undefined;
    reply: unknown;
  };
  /** The finished chunk in that place of the ring */
  "GET /host/stream/{device}/segments/{hour}/chunk_10min_{index}.mp4": {
    path: { "device": string; "hour": number; "index": string };
    query: { "date"?: string };
    body: undefined;
    reply: unknown;
  };
  /** All that is known of the hour, or of a part of it */
  "GET /host/stream/{device}/segments/{hour}/metadata.json": {
    path: { "device": string; "hour": number };
    query: { "date"?: string; "from"?: string | number; "to"?: string | number; "step"?: number };
    body: undefined;
    reply: {
      audio_segments: {
        duration: number;
        file: string;
        start: string;
        transcript: string | null;
        url: string;
      }[];
      duration_seconds: number;
      frames: {
        audio: boolean | null;
        black: boolean | null;
        freeze: boolean | null;
        num: number;
        time: string;
      }[];
      hour: number;
      incidents: {
        duration: number;
        frame: number | null;
        severity: "minor" | "major" | "critical";
        start: string;
        type: "blackscreen" | "freeze" | "silence" | "signal_lost";
      }[];
      start_time: string;
      step_seconds: number | null;
      total_frames: number;
      video_chunks: {
        duration: number;
        file: string;
        start: string;
        url: string;
      }[];
    };
  };
  /** WebVTT for scrubbing through the hour: a still for each cue */
  "GET /host/stream/{device}/thumbnails/{hour}/thumbnails.vtt": {
    path: { "device": string; "hour": number };
    query: { "date"?: string };
    body: undefined;
    reply: unknown;
  };
  /** A preview still */
  "GET /host/stream/{device}/thumbnails/{hour}/{still}.jpg": {
    path: { "device": string; "hour": number; "still": string };
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** OpenMetrics */
  "GET /metrics": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: unknown;
  };
  /** It records and is not about to stop */
  "GET /readyz": {
    path: Nothing;
    query: Nothing;
    body: undefined;
    reply: {
      status: "ok" | "ready";
    };
  };
}
