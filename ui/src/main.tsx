// The start: styles, theme, who is here, and the frame.
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./styles/tokens.css";
import "./styles/base.css";
import "./kit/kit.css";
import "./styles/manual.css";
import { App } from "./app/App";
import { preload } from "./app/pages";
import { applyTheme } from "./app/theme";
import { begin } from "./session/session";
import { queries } from "./store/queries";

applyTheme();
void begin();
preload(location.pathname);

const root = document.getElementById("root");
if (!root) throw new Error("the page has no #root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <App />
    </QueryClientProvider>
  </StrictMode>,
);
