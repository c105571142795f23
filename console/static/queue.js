// The alerts in two lanes: what nobody has taken in hand, and what somebody has.
//
// Rows are found by alert id and changed in place: a row that is rebuilt or renumbered between
// look and press would make the operator act on another alert.

import { byId, el, keyed, onPress, setAttribute, setText } from "./dom.js";
import { tierMark } from "./marks.js";
import {
  alertsElsewhere, closable, fixAgeSeconds, isNew, isShelved, isStale, lanes, onChange, personName, select, state,
} from "./state.js";
import {
  TIERS, ageSeconds, anomalyText, distanceText, duration, intervalText, levelText, localTime, roughly,
} from "./words.js";

const LANE_ROWS = 200; // more than anybody reads; the rest is counted, and moves up

const parts = new WeakMap(); // row -> its changing parts

export function startQueue(acts) {
  onChange((changes) => {
    if (["alerts", "devices", "selection", "plan", "service"].some((part) => changes.has(part))) draw(acts);
    else if (changes.has("second")) drawAllAges();
  });
}

function draw(acts) {
  const { fresh, inHand, shelf } = lanes();
  drawLane("new", fresh, acts);
  drawLane("hand", inHand, acts);
  drawLane("shelf", shelf, acts);
  byId("shelf").hidden = shelf.length === 0;
  drawMore([fresh, inHand, shelf]);
  document.title = fresh.length > 0 ? `(${fresh.length}) Cordon` : "Cordon";
}

function drawMore(shownLanes) {
  const hidden = shownLanes.reduce((sum, lane) => sum + Math.max(0, lane.length - LANE_ROWS), alertsElsewhere());
  const more = byId("more-alerts");
  more.hidden = hidden === 0;
  setText(more, `${hidden} more alerts are open, less urgent than these. They move up as these are closed.`);
}

function drawLane(name, alerts, acts) {
  const lane = byId(`lane-${name}`);
  const listed = alerts.slice(0, LANE_ROWS);
  keyed(lane, listed.map((alert) => alert.alert_id), (id) => makeRow(id, acts));
  for (const row of lane.children) drawRow(row, state.alerts.get(row.dataset.key));
  setText(byId(`${name}-count`), String(alerts.length));
  const empty = byId(`${name}-empty`);
  if (empty) empty.hidden = alerts.length > 0;
}

function makeRow(id, acts) {
  const row = el("li", { class: "row" });
  const mark = el("span", { class: "mark" });
  const title = el("button", { type: "button", class: "title" });
  const age = el("span", { class: "age", title: "Time since it was raised" });
  const badge = el("span", { class: "badge" }, "Returned");
  const who = el("p", { class: "who" });
  const facts = el("p", { class: "facts" });
  const fixes = el("p", { class: "fixes" });
  const hand = el("p", { class: "hand" });
  const act = el("button", { type: "button", class: "act" });
  row.append(mark, el("div", { class: "head" }, badge, title, age), who, act, facts, fixes, hand);
  parts.set(row, { mark, badge, title, age, who, facts, fixes, hand, act });
  onPress(row, (event) => {
    if (!act.contains(event.target)) select({ alert: id });
  });
  onPress(act, () => acts.next(id));
  return row;
}

function drawRow(row, alert) {
  const { mark, badge, title, who, facts, hand, act } = parts.get(row);
  const inHand = !isNew(alert);
  const chosen = state.selected?.alert === alert.alert_id;
  const text = titleText(alert);
  if (mark.dataset.tier !== String(alert.tier)) {
    mark.dataset.tier = alert.tier;
    mark.replaceChildren(tierMark(alert.tier));
  }
  setAttribute(row, "data-tier", alert.tier);
  setAttribute(row, "data-new", !inHand);
  setAttribute(row, "aria-current", chosen ? "true" : null);
  setAttribute(row, "data-state", alert.state);
  badge.hidden = alert.state !== "returned";
  setText(title, text);
  drawAges(row, alert);
  setText(who, whoText(alert));
  setText(facts, factsText(alert));
  setText(hand, handText(alert));
  const label = inHand ? "Resolve" : "Acknowledge";
  act.hidden = inHand && !closable(alert);
  setText(act, label);
  setAttribute(act, "aria-label", `${label}: tier ${alert.tier} ${TIERS[alert.tier] ?? ""}, ${text}, ${whoText(alert)}`);
}

// What grows with the clock, whether or not anything arrives.
function drawAges(row, alert) {
  const { age, fixes } = parts.get(row);
  setText(age, duration(ageSeconds(alert.raised_at)));
  setText(fixes, inDoubt(alert) ? `Last fix: ${fixAgesText(alert)}` : "");
}

function drawAllAges() {
  for (const row of document.querySelectorAll(".row")) {
    const alert = state.alerts.get(row.dataset.key);
    if (alert) drawAges(row, alert);
  }
}

export function titleText(alert) {
  if (alert.state !== "returned") return levelText(alert.condition, alert.level);
  return `Was: ${levelText(alert.condition, alert.highest_level).toLowerCase()}`;
}

function handText(alert) {
  const asked = alert.escalated_at && isNew(alert) ? `Asked at ${localTime(alert.escalated_at)}: ${alert.escalated_to}. ` : "";
  return asked + standingText(alert);
}

function standingText(alert) {
  if (isShelved(alert)) return `${alert.shelved_by} shelved it until ${localTime(alert.shelved_until)}: ${alert.shelf_reason}`;
  if (isNew(alert)) return alert.state === "returned" ? "It is over: acknowledging closes it." : "";
  const sent = alert.dispatched_at ? `. Sent: ${alert.dispatched_to}, ${localTime(alert.dispatched_at)}` : "";
  const theirs = alert.assigned_to && alert.assigned_to !== alert.acknowledged_by ? `, for ${alert.assigned_to}` : "";
  const who = `In hand: ${alert.acknowledged_by}${theirs}, since ${localTime(alert.acknowledged_at)}${sent}`;
  if (closable(alert)) return who;
  return `${who}. ${alert.dispatched_at ? "When it is over, say how it ended." : "Closes by itself when it is over."}`;
}

export function whoText(alert) {
  const people = [personName(alert.wearer), personName(alert.protected)].filter(Boolean);
  return people.join(" \u2192 ") || alert.device || "no person";
}

// Live numbers while the watch is there, since those of the decision grow old.
export function measured(alert) {
  const watch = state.watches.get(alert.watch);
  if (!watch || alert.state === "returned") {
    return {
      live: false, distance: alert.distance_m, low: alert.distance_low_m,
      high: alert.distance_high_m, probability: alert.probability,
    };
  }
  return {
    live: true, distance: watch.distance_m, low: watch.low_m, high: watch.high_m,
    probability: watch.probability,
  };
}

function devicesOf(alert) {
  const watch = state.watches.get(alert.watch);
  if (!watch || alert.state === "returned") return [];
  return [watch.tag, watch.handset].map((id) => state.devices.get(id)).filter(Boolean);
}

// Interval and probability hold for the instant of the fixes. Beside old ones they would make
// somebody look safe of whom nothing is known.
export const isUnknown = (alert) => alert.state !== "returned"
  && (state.watches.get(alert.watch)?.level ?? alert.level) === "unknown";

// The numbers rest on fixes that may be true no longer.
export function inDoubt(alert) {
  const devices = devicesOf(alert);
  return devices.length > 0 && (isUnknown(alert) || devices.some(isStale));
}

export function lastKnownText(alert) {
  const { distance } = measured(alert);
  if (distance == null) return distanceText(alert.condition, distance);
  const where = alert.condition === "proximity" ? "between the last fixes" : "at the last fix";
  return `${distanceText(alert.condition, distance)} ${where}`;
}

// How old the fix of each device is that the watch compares.
export function fixAgesText(alert) {
  return devicesOf(alert).map((device) => {
    const age = device.fix_time ? `${roughly(fixAgeSeconds(device))} ago` : "none yet";
    return `${device.name || device.id}: ${age}${device.online === false ? ", offline" : ""}`;
  }).join("; ");
}

function factsText(alert) {
  if (alert.anomaly || alert.health) return [alert.device, anomalyText(alert)].filter(Boolean).join(": ");
  if (!alert.watch) return alert.device + (alert.repeats ? `, sent ${alert.repeats} times more` : "");
  if (isUnknown(alert)) return lastKnownText(alert);
  const { live, distance, low, high } = measured(alert);
  const said = distanceText(alert.condition, distance);
  if (alert.state === "returned") return `Last: ${said}`;
  const interval = intervalText(alert.condition, low, high);
  const numbers = said + (interval ? ` (${interval})` : "");
  return live ? numbers : `When decided: ${numbers}`;
}

// The neighbour of the selected alert in the order on the screen.
export function step(by) {
  const { fresh, inHand, shelf } = lanes();
  const listed = [fresh, inHand, shelf].flatMap((lane) => lane.slice(0, LANE_ROWS));
  const ids = listed.map((alert) => alert.alert_id);
  if (ids.length === 0) return;
  const at = ids.indexOf(state.selected?.alert);
  const next = at < 0 ? 0 : Math.min(ids.length - 1, Math.max(0, at + by));
  select({ alert: ids[next] });
  const rows = document.querySelectorAll(".row");
  [...rows].find((row) => row.dataset.key === ids[next])?.scrollIntoView({ block: "nearest" });
}
