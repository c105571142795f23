// The bar on top: whether what is shown is current, and how each part of the service is.

import { byId, el, keyed, setAttribute, setText } from "./dom.js";
import { hasPlace, onChange, serverNow, state } from "./state.js";
import { bothTimes, localTime, roughly } from "./words.js";

const PARTS = { broker: "Broker", engine: "Engine", database: "Database" };
const DEGRADED = { broker: "Broker degraded", engine: "Alerts late", database: "No history", fleet: "Many devices silent" };
const MARKS = { up: "\u25cf", degraded: "\u25b2", down: "\u2715" };
const QUIET_S = 120; // no message of any device for this long is worth saying

export function startStatus() {
  onChange((changes) => {
    if (["service", "feed", "devices"].some((part) => changes.has(part))) drawParts();
    if (changes.has("feed") || changes.has("second") || changes.has("service")) drawFeed();
    if (changes.has("second")) setText(byId("clock"), bothTimes(serverNow()));
  });
}

function drawFeed() {
  document.body.dataset.feed = state.feed;
  const names = { live: "Live", lost: "Not live", starting: "Connecting", "signed-out": "Signed out" };
  setText(byId("feed"), names[state.feed]);
  const text = bannerText();
  byId("banner").hidden = text === "";
  setText(byId("banner"), text);
}

function bannerText() {
  if (state.feed === "signed-out") {
    return "You are signed out and this page no longer changes: your session has ended, or the service was restarted. Open your sign-in address again.";
  }
  if (state.feed === "lost") {
    return state.lastFrameAt
      ? `No data since ${localTime(state.lastFrameAt)}. What you see is the state of then, not of now.`
      : "The server does not answer. Nothing on this page is current.";
  }
  if (state.feed === "starting" || !state.service) return "";
  const bad = Object.keys(PARTS).filter((name) => state.service[name].state === "down");
  if (bad.length > 0) {
    const [name] = bad;
    return `${PARTS[name]} is down. ${state.service[name].detail}`.trim();
  }
  return (state.service.degraded ?? []).map(({ name, detail, since }) => `${DEGRADED[name] ?? name} since ${localTime(since)}: ${detail}.`).join(" ");
}

function partTexts(service) {
  const texts = Object.fromEntries(Object.entries(PARTS).map(([name, label]) => {
    const { state: condition, detail } = service[name];
    return [name, { text: `${MARKS[condition]} ${label} ${condition}`, condition, detail }];
  }));
  if (service.flood_since) {
    texts.flood = { text: `${MARKS.down} Flood since ${localTime(service.flood_since)}`, condition: "down", detail: "More alerts than can be handled: tier 1 stands in front, whatever has returned. Ask for help" };
  }
  if (service.fleet && service.fleet.state !== "up") {
    texts.fleet = { text: `${MARKS.degraded} Many devices silent`, condition: "degraded", detail: service.fleet.detail };
  }
  if (service.probe) {
    const { state: condition, detail } = service.probe;
    texts.probe = { text: `${MARKS[condition]} Self-test ${condition}`, condition, detail };
  }
  if (service.lag_ms != null) {
    const condition = service.lag_ms > 2000 ? "degraded" : "up";
    texts.lag = { text: `Lag ${Math.round(service.lag_ms)} ms`, condition, detail: "Age of the oldest message not yet decided on" };
  }
  if (service.stored_lag) {
    texts.stored = { text: `${service.stored_lag} to store`, condition: "degraded", detail: "Messages that are safe in the journal and wait for the database" };
  }
  const placeless = [...state.devices.values()].filter((device) => !hasPlace(device));
  if (placeless.length > 0) {
    texts.placeless = { text: `${placeless.length} not yet located`, condition: "degraded", detail: placeless.map(({ id, name }) => name ? `${name} (${id})` : id).join(", ") };
  }
  const quiet = service.last_message ? (serverNow() - Date.parse(service.last_message)) / 1000 : 0;
  if (quiet > QUIET_S) {
    texts.quiet = { text: `No device heard for ${roughly(quiet)}`, condition: "degraded", detail: "" };
  }
  return texts;
}

function drawParts() {
  const texts = state.service ? partTexts(state.service) : {};
  const list = byId("parts");
  keyed(list, Object.keys(texts), () => el("li"));
  for (const item of list.children) {
    const { text, condition, detail } = texts[item.dataset.key];
    setText(item, text);
    setAttribute(item, "data-state", condition);
    setAttribute(item, "title", detail || null);
  }
  const refused = state.service?.counts.refused ?? 0;
  setText(byId("refused"), refused > 0 ? `Refused ${refused}` : "Refused");
}
