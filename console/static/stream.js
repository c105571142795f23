// The live stream, and the watch over it: a picture that is not current must not look current.

import { getSession } from "./api.js";
import { noteServerTime, setFeed, state } from "./state.js";

const SILENCE_MS = 7000; // the server sends a beat after 5 s; this long without anything is a loss
const REOPEN_MS = 2000; // a browser gives up for good after an HTTP error, so we open anew
const HALF_OPEN_MS = 15000; // open but silent for this long: the connection is dead, drop it
const EVENTS = ["hello", "alert", "plan", "resync", "positions", "service", "beat"];
const FRESH = new Set(["hello", "resync", "beat"]); // made when they are sent

let source = null;
let lastId = "";
let openedAt = 0;
const startedAt = Date.now();

export function openStream(handlers) {
  open(handlers);
  setInterval(() => watch(handlers), 1000);
  document.addEventListener("visibilitychange", () => watch(handlers));
}

function open(handlers) {
  source?.close();
  openedAt = Date.now();
  source = new EventSource(`/api/v1/stream?last=${encodeURIComponent(lastId)}`);
  for (const name of EVENTS) {
    source.addEventListener(name, (event) => {
      if (event.lastEventId) lastId = event.lastEventId;
      const data = JSON.parse(event.data);
      state.lastFrameAt = Date.now();
      noteServerTime(data.server_time, { fresh: FRESH.has(name) });
      setFeed("live");
      handlers[name]?.(data);
    });
  }
}

async function watch(handlers) {
  if (state.feed === "signed-out") return;
  const silentMs = Date.now() - (state.lastFrameAt || startedAt);
  if (silentMs > SILENCE_MS) setFeed("lost");
  const triedMs = Date.now() - openedAt;
  const dead = source.readyState === EventSource.CLOSED && triedMs > REOPEN_MS;
  const halfOpen = silentMs > HALF_OPEN_MS && triedMs > HALF_OPEN_MS;
  if (!dead && !halfOpen) return;
  openedAt = Date.now();
  try {
    await getSession();
  } catch (error) {
    if (error.status === 401) {
      source.close();
      setFeed("signed-out");
      return;
    }
  }
  open(handlers);
}
