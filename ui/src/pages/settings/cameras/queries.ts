// What is asked about cameras, under which names it is kept, and how it is changed.
import { useMutation, useQuery } from "@tanstack/react-query";
import { ask, askFully, type Body } from "../../../api/client";
import { useEvents } from "../../../events/hub";
import { queries } from "../../../store/queries";
import { refreshState } from "../../../store/state";
import { tagOf, type Camera } from "./form";

export const CAMERAS = ["cameras"];
/** A change is answered when it has taken effect: a recorder that ends may take its time. */
export const TAKES_MS = 60_000;
const EVERY_MS = 10_000;

export function useCameras() {
  useEvents({ topics: ["device"] }, refreshCameras);
  return useQuery({ queryKey: CAMERAS, queryFn: ({ signal }) => ask("GET /api/cameras", { signal }) });
}

export function useActive() {
  return useQuery({ queryKey: [...CAMERAS, "active"], queryFn: ({ signal }) => ask("GET /api/cameras/active", { signal }), refetchInterval: EVERY_MS });
}

export function useAreas() {
  return useQuery({ queryKey: ["areas"], queryFn: ({ signal }) => ask("GET /api/areas", { signal }) });
}

export function refreshCameras(): void {
  void queries.invalidateQueries({ queryKey: CAMERAS });
  void queries.invalidateQueries({ queryKey: ["areas"] });
  refreshState();
}

export function readCamera(id: string): Promise<Camera> {
  return ask("GET /api/cameras/{id}", { path: { id } });
}

export async function addCamera(body: Body<"POST /api/cameras">): Promise<Camera> {
  return (await askFully("POST /api/cameras", { body, timeoutMs: TAKES_MS })).body;
}

export async function saveCamera(id: string, body: Body<"PUT /api/cameras/{id}">, ifMatch: string): Promise<Camera> {
  return ask("PUT /api/cameras/{id}", { path: { id }, body, ifMatch, timeoutMs: TAKES_MS });
}

/** On or off, as it was read last. */
export function useSwitch() {
  return useMutation({
    mutationFn: (camera: Camera) => saveCamera(camera.id, { ...camera, enabled: !camera.enabled } as unknown as Body<"PUT /api/cameras/{id}">, tagOf(camera)),
    onSettled: refreshCameras,
  });
}

export function useRemoval() {
  return useMutation({
    mutationFn: (camera: Camera) => ask("DELETE /api/cameras/{id}", { path: { id: camera.id }, ifMatch: tagOf(camera), timeoutMs: TAKES_MS }),
    onSettled: refreshCameras,
  });
}
