// hls.js and its worker, in a file of their own: 600 kB that the first paint does not wait for.
export { default as Hls } from "hls.js";
export { default as workerPath } from "hls.js/dist/hls.worker.js?url";
