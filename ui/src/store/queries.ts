// How answers are kept: react-query's client with this daemon's manners.
import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "../api/error";

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // The daemon is on this network: what the browser thinks of the internet does not matter.
      networkMode: "always",
      staleTime: 2000,
      retry: (failures, error) => failures < 2 && error instanceof ApiError && error.isPassing,
      retryDelay: (failures) => 500 * 2 ** failures,
    },
    mutations: { networkMode: "always" },
  },
});
