import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  // In development the daemon answers everything but the pages themselves.
  server: { proxy: Object.fromEntries(["/api", "/host", "/metrics", "/healthz"].map((path) => [path, "http://127.0.0.1:8080"])) },
  build: {
    target: "es2022",
    // The daemon's Content-Security-Policy allows its own files only: nothing may be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // One file: /api/docs uses it too, and no page appears before its style.
    cssCodeSplit: false,
    chunkSizeWarningLimit: 800,
    // For scripts/sizes.mjs, which prints what the first load takes.
    manifest: true,
  },
  worker: { format: "es" },
  test: { include: ["src/**/*.test.ts", "scripts/**/*.test.ts"], environment: "node" },
});
