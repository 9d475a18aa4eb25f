import { defineConfig } from "vite";

export default defineConfig({
  // In development the daemon answers everything but the page itself.
  server: { proxy: Object.fromEntries(["/api", "/host", "/metrics", "/healthz"].map((path) => [path, "http://127.0.0.1:8080"])) },
  build: {
    target: "es2020",
    // The daemon's Content-Security-Policy allows its own files only: nothing may be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 800,
  },
});
