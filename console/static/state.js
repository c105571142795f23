// What the page knows. Other modules read it, and are told when a part of it changed.

const STALE_INTERVALS = 3; // without a fix for this many of its intervals, a device is stale
const STALE_MIN_S = 15; // but never sooner than this
const CLOSED_KEPT = 200; // resolved alerts remembered, so that an older change does not revive them

const ALERTS_KEPT = 1000; // beyond it the less urgent half is let go of; the server has them
const REST_TIMES = 4; // after telling, so many times as long as it took
const REST_MOST_MS = 400;
const ALERTS_FEW = 250; // with fewer than this here and more at the server, the picture is fetched anew

export const state = {
  devices: new Map(), // by device id
  watches: new Map(), // by watch key
  zones: [],
  alerts: new Map(), // by alert id; those that are not resolved
  service: null,
  operator: "",
  names: new Map(), // of people, by id
  selected: null, // {alert: id} or {device: id}; never a row number
  feed: "starting", // live, lost, signed-out
  lastFrameAt: 0, // by the browser's clock
};

const closed = new Map(); // alert id -> version it was resolved at
const touched = new Set(); // alerts that changed here since the last picture was asked for
const listeners = new Set();
let since = null; // other news since then, to be told again; null while no picture is on its way
let clockOffsetMs = 0;
const due = new Set();
const told = { at: 0, tookMs: 0 }; // the last time that changes were told, by the page's clock

export const serverNow = () => Date.now() + clockOffsetMs;

// A frame that waited or is replayed states an old time: it may only move our idea of the
// server's clock forward. What was made when it was sent sets it.
export function noteServerTime(iso, { fresh = true } = {}) {
  const offsetMs = Date.parse(iso) - Date.now();
  if (fresh || offsetMs > clockOffsetMs) clockOffsetMs = offsetMs;
}

export const onChange = (listener) => listeners.add(listener);

// Parts: devices, plan, alerts, service, selection, feed, second. Several changes in one turn of
// the loop are told once. In a flood, when drawing takes long, they are told less often, so that
// the page answers whoever works with it; what he selects is told at once.
export function changed(...parts) {
  const restMs = told.at + Math.min(REST_MOST_MS, REST_TIMES * told.tookMs) - performance.now();
  if (restMs < 1 || parts.includes("selection")) queueMicrotask(tell);
  else if (due.size === 0) setTimeout(tell, restMs);
  for (const part of parts) due.add(part);
}

function tell() {
  if (due.size === 0) return;
  const startedAt = performance.now();
  const parts = new Set(due);
  due.clear();
  for (const listener of listeners) listener(parts);
  told.at = performance.now();
  told.tookMs = told.at - startedAt;
}

// From the stream or the answer to an act, which may cross: the newer version wins.
export function applyAlert(alert) {
  touched.add(alert.alert_id);
  const known = state.alerts.get(alert.alert_id)?.version ?? closed.get(alert.alert_id) ?? 0;
  if (alert.version <= known) return false;
  if (alert.resolved_at || alert.resolved_by) {
    state.alerts.delete(alert.alert_id);
    closed.set(alert.alert_id, alert.version);
    if (closed.size > CLOSED_KEPT) closed.delete(closed.keys().next().value);
    if (state.selected?.alert === alert.alert_id) select(null);
  } else {
    state.alerts.set(alert.alert_id, alert);
    if (state.alerts.size > ALERTS_KEPT) letGo();
  }
  changed("alerts");
  return true;
}

function letGo() {
  const { fresh, inHand, shelf } = lanes();
  for (const { alert_id: id } of [...fresh, ...inHand, ...shelf].slice(ALERTS_KEPT / 2)) {
    if (state.selected?.alert !== id) state.alerts.delete(id);
  }
}

const openAlerts = () => (state.service?.alerts_open ?? []).reduce((sum, count) => sum + count, 0);

// Open alerts that this page does not have: it has the most urgent.
export const alertsElsewhere = () => Math.max(0, openAlerts() - state.alerts.size);

export const alertsRunOut = () => state.alerts.size < ALERTS_FEW && openAlerts() > ALERTS_FEW;

export function beginPicture() {
  touched.clear();
  since = [];
}

// The picture replaces everything but what the stream has told since it was asked for.
export function applyPicture(picture) {
  noteServerTime(picture.server_time);
  state.devices = new Map(picture.devices.map((device) => [device.id, device]));
  state.watches = new Map(picture.watches.map((watch) => [watch.key, watch]));
  state.zones = picture.zones;
  state.service = picture.service;
  learnNames(picture.devices);
  for (const id of state.alerts.keys()) {
    if (!touched.has(id)) state.alerts.delete(id);
  }
  for (const alert of picture.alerts) {
    if (touched.has(alert.alert_id)) continue;
    state.alerts.set(alert.alert_id, alert);
    closed.delete(alert.alert_id);
  }
  const late = since ?? [];
  since = null;
  for (const apply of late) apply();
  if (state.selected?.alert && !state.alerts.has(state.selected.alert)) select(null);
  changed("devices", "plan", "alerts", "service");
}

export function applyPositions(change) {
  since?.push(() => applyPositions(change));
  if (change.full) {
    state.devices = new Map();
    state.watches = new Map();
  }
  learnNames(change.devices);
  for (const device of change.devices) state.devices.set(device.id, device);
  for (const watch of change.watches) state.watches.set(watch.key, watch);
  for (const id of change.gone_devices) state.devices.delete(id);
  for (const key of change.gone_watches) state.watches.delete(key);
  changed("devices");
}

export function applyService(service) {
  since?.push(() => applyService(service));
  state.service = service;
  changed("service");
}

export function select(selection) {
  state.selected = selection;
  changed("selection");
}

export function setFeed(feed) {
  if (state.feed === feed) return;
  state.feed = feed;
  changed("feed");
}

// Names come with the devices people carry; without one, the id must do.
function learnNames(devices) {
  for (const { person, name } of devices) {
    if (person && name) state.names.set(person, name);
  }
}

export const personName = (person) => state.names.get(person) ?? person ?? "";

export const hasPlace = (device) => device?.lat != null && device.lon != null;

// 0 is not perfect: it is a receiver that does not know.
export const accuracyKnown = (device) => device.accuracy_m > 0;

export function fixAgeSeconds(device) {
  return device.fix_time ? (serverNow() - Date.parse(device.fix_time)) / 1000 : Infinity;
}

export function isStale(device) {
  const limit = Math.max(STALE_MIN_S, STALE_INTERVALS * device.fix_interval_s);
  return device.online === false || fixAgeSeconds(device) > limit;
}

// What the engine watches closes by itself when it is over, unless somebody was sent; what a
// device told of is closed by a person.
export const closable = (alert) => !isNew(alert) && !(alert.watch && alert.state === "active");

// A tamper is closed after a check that holds for all its repetitions.
export const needsCheck = (alert) => alert.condition === "tamper"
  && (!alert.checked_by || alert.checked_repeats !== alert.repeats);

export const isShelved = (alert) => Boolean(alert.shelved_until);

// Nobody has taken it in hand.
export const isNew = (alert) => !alert.acknowledged_at && !alert.acknowledged_by;

const isOver = (alert) => Number(alert.state === "returned");

// In a flood tier 1 stands in front even when it is over: somebody must still see it.
const isBehind = (alert) => Number(Boolean(state.service?.flood_since) && alert.tier > 1);

const byUrgency = (a, b) => isBehind(a) - isBehind(b)
  || isOver(a) - isOver(b)
  || a.tier - b.tier
  || Date.parse(a.raised_at) - Date.parse(b.raised_at)
  || (a.alert_id < b.alert_id ? -1 : 1);

// What lasts before what is over, then the worst tier first, oldest first within it. An
// acknowledged alert leaves the first lane, so that it can never stand in front of one nobody has
// seen. What is shelved is out of the way, but never out of sight.
export function lanes() {
  const all = [...state.alerts.values()].sort(byUrgency);
  const open = all.filter((alert) => !isShelved(alert));
  return {
    fresh: open.filter(isNew), inHand: open.filter((alert) => !isNew(alert)), shelf: all.filter(isShelved),
  };
}
