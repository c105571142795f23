// The alerts in two lanes: what nobody has taken in hand, and what somebody has.
//
// Rows are found by alert id and changed in place: a row that is rebuilt or renumbered between
// look and press would make the operator act on another alert.

import { byId, el, keyed, onPress, setAttribute, setText } from "./dom.js";
import { tierMark } from "./marks.js";
import { isNew, lanes, onChange, personName, select, state } from "./state.js";
import {
  TIERS, ageSeconds, distanceText, duration, intervalText, levelText, localTime,
} from "./words.js";

const parts = new WeakMap(); // row -> its changing parts

export function startQueue(acts) {
  onChange((changes) => {
    if (["alerts", "devices", "selection", "plan"].some((part) => changes.has(part))) draw(acts);
    else if (changes.has("second")) drawAges();
  });
}

function draw(acts) {
  const { fresh, inHand } = lanes();
  drawLane("new", fresh, acts);
  drawLane("hand", inHand, acts);
  document.title = fresh.length > 0 ? `(${fresh.length}) Cordon` : "Cordon";
}

function drawLane(name, alerts, acts) {
  const lane = byId(`lane-${name}`);
  keyed(lane, alerts.map((alert) => alert.alert_id), (id) => makeRow(id, acts));
  for (const row of lane.children) drawRow(row, state.alerts.get(row.dataset.key));
  setText(byId(`${name}-count`), String(alerts.length));
  byId(`${name}-empty`).hidden = alerts.length > 0;
}

function makeRow(id, acts) {
  const row = el("li", { class: "row" });
  const mark = el("span", { class: "mark" });
  const title = el("button", { type: "button", class: "title" });
  const age = el("span", { class: "age", title: "Time since it was raised" });
  const who = el("p", { class: "who" });
  const facts = el("p", { class: "facts" });
  const hand = el("p", { class: "hand" });
  const act = el("button", { type: "button", class: "act" });
  row.append(mark, el("div", { class: "head" }, title, age), who, act, facts, hand);
  parts.set(row, { mark, title, age, who, facts, hand, act });
  onPress(row, (event) => {
    if (!act.contains(event.target)) select({ alert: id });
  });
  onPress(act, () => acts.next(id));
  return row;
}

function drawRow(row, alert) {
  const { mark, title, age, who, facts, hand, act } = parts.get(row);
  const inHand = !isNew(alert);
  const chosen = state.selected?.alert === alert.alert_id;
  const text = levelText(alert.condition, alert.level);
  if (mark.dataset.tier !== String(alert.tier)) {
    mark.dataset.tier = alert.tier;
    mark.replaceChildren(tierMark(alert.tier));
  }
  setAttribute(row, "data-tier", alert.tier);
  setAttribute(row, "data-new", !inHand);
  setAttribute(row, "aria-current", chosen ? "true" : null);
  setText(title, alert.state === "returned" ? returnedText(alert) : text);
  setText(age, duration(ageSeconds(alert.raised_at)));
  setText(who, whoText(alert));
  setText(facts, factsText(alert));
  setText(hand, inHand ? `In hand: ${alert.acknowledged_by}, ${localTime(alert.acknowledged_at)}` : "");
  const label = inHand ? "Resolve" : "Acknowledge";
  setText(act, label);
  setAttribute(act, "aria-label", `${label}: tier ${alert.tier} ${TIERS[alert.tier] ?? ""}, ${text}, ${whoText(alert)}`);
}

function drawAges() {
  for (const row of document.querySelectorAll(".row")) {
    const alert = state.alerts.get(row.dataset.key);
    if (alert) setText(parts.get(row).age, duration(ageSeconds(alert.raised_at)));
  }
}

const returnedText = (alert) => `Over; was: ${levelText(alert.condition, alert.highest_level).toLowerCase()}`;

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

function factsText(alert) {
  if (!alert.watch) return alert.device;
  const { distance, low, high } = measured(alert);
  const interval = intervalText(low, high);
  return distanceText(alert.condition, distance) + (interval ? ` (${interval})` : "");
}

// The neighbour of the selected alert in the order on the screen.
export function step(by) {
  const { fresh, inHand } = lanes();
  const ids = [...fresh, ...inHand].map((alert) => alert.alert_id);
  if (ids.length === 0) return;
  const at = ids.indexOf(state.selected?.alert);
  const next = at < 0 ? 0 : Math.min(ids.length - 1, Math.max(0, at + by));
  select({ alert: ids[next] });
  const rows = document.querySelectorAll(".row");
  [...rows].find((row) => row.dataset.key === ids[next])?.scrollIntoView({ block: "nearest" });
}
