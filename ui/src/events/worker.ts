// The shared worker: one event stream for all tabs of a browser, which opens six connections to a host at most.
import type { FromStream, ToStream } from "./kinds";
import { Stream } from "./stream";

interface Connecting {
  onconnect: (event: MessageEvent) => void;
}

const ports = new Set<MessagePort>();
const wanting = new Set<MessagePort>();
const stream = new Stream((message: FromStream) => {
  for (const port of message.type === "link" ? ports : wanting) port.postMessage(message);
});

(self as unknown as Connecting).onconnect = (event) => {
  const port = event.ports[0];
  if (!port) return;
  ports.add(port);
  port.onmessage = ({ data }: MessageEvent<ToStream>) => {
    if (data.type === "want") {
      ports.add(port);
      wanting.add(port);
    } else wanting.delete(port);
    if (data.type === "bye") ports.delete(port);
    if (wanting.size > 0) stream.open();
    else stream.close();
    if (data.type === "want") port.postMessage({ type: "link", link: stream.link } satisfies FromStream);
  };
};
