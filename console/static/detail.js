// What is selected, in full: an alert with the numbers it rests on, or a device.

import { byId, el, onPress, setText } from "./dom.js";
import { accuracyKnown, fixAgeSeconds, isStale, onChange, personName, state } from "./state.js";
import { askToClose, drawSteps, makeSteps } from "./steps.js";
import {
  fixAgesText, inDoubt, isUnknown, lastKnownText, measured, titleText, whoText,
} from "./queue.js";
import {
  CHECKS, TIERS, anomalyText, bothTimes, causeText, distanceText, duration, intervalText, levelText, localTime, metres, percent, procedureText, roughly,
} from "./words.js";

let shown = ""; // which selection the pane was built for
let facts = null;
let form = null;

export function startDetail(acts) {
  onChange(() => {
    const pane = byId("detail");
    const alert = state.alerts.get(state.selected?.alert);
    const device = state.devices.get(state.selected?.device);
    pane.hidden = !alert && !device;
    const key = alert ? `alert ${alert.alert_id}` : `device ${device?.id}`;
    if (!pane.hidden && key !== shown) build(pane, alert, acts);
    shown = pane.hidden ? "" : key;
    if (alert) drawAlert(alert);
    else if (device) drawRows(deviceRows(device));
  });
}

// What is typed survives every update, since only the facts around it are drawn anew.
function build(pane, alert, acts) {
  facts = el("dl");
  form = null;
  pane.replaceChildren(el("h2", {}, ""), facts);
  if (alert) {
    form = makeSteps(alert.alert_id, acts.step);
    pane.append(form);
  }
}

export const askForNote = () => askToClose(form);

function heading(text) {
  setText(byId("detail").querySelector("h2"), text);
}

function drawRows(rows) {
  const wanted = rows.filter(([, value]) => value);
  while (facts.children.length > 2 * wanted.length) facts.lastChild.remove();
  while (facts.children.length < 2 * wanted.length) facts.append(el("dt"), el("dd"));
  wanted.forEach(([name, value], index) => {
    setText(facts.children[2 * index], name);
    setText(facts.children[2 * index + 1], value);
  });
}

function drawAlert(alert) {
  const returned = alert.state === "returned";
  heading(`${returned ? "Returned. " : ""}${titleText(alert)}: ${whoText(alert)}`);
  drawSteps(form, alert);
  const now = measured(alert);
  const unknown = isUnknown(alert);
  const watch = state.watches.get(alert.watch);
  drawRows([
    ["Tier", `${alert.tier}, ${TIERS[alert.tier] ?? ""}; worst: ${levelText(alert.condition, alert.highest_level).toLowerCase()}`],
    ["To do", procedureText(alert.procedure)],
    ["Condition", [watch?.name, alert.condition, alert.condition_id].filter(Boolean).join(", ")],
    ["State", returned ? `over since ${bothTimes(alert.decided_at)}` : "active"],
    ["Why", causeText(alert)],
    ["Device", alert.device],
    ["Found", anomalyText(alert)],
    [now.live ? "Now" : returned ? "At its end" : "When decided", alert.watch ? (unknown ? lastKnownText(alert) : figures(alert.condition, now)) : ""],
    [inDoubt(alert) ? "Old fixes" : "Last fixes", fixAgesText(alert)],
    ["When decided", now.live && !unknown ? figures(alert.condition, decided(alert)) : ""],
    ["Fixes used", Object.entries(alert.fix_times ?? {}).map(([device, time]) => `${device} ${localTime(time)}`).join(", ")],
    ["Began", bothTimes(alert.onset) + (alert.onset_doubted ? "; this is when it arrived, as the device gave no time that can be right" : "")],
    ["Raised", bothTimes(alert.raised_at)],
    ["In hand", alert.acknowledged_at ? `${alert.acknowledged_by ?? ""}, ${bothTimes(alert.acknowledged_at)}` : ""],
    ["Assigned to", alert.assigned_to],
    ["Sent", alert.dispatched_at ? `${alert.dispatched_to}, by ${alert.dispatched_by}, ${bothTimes(alert.dispatched_at)}` : ""],
    ["Checked", alert.checked_at ? `${CHECKS[alert.check] ?? alert.check}, by ${alert.checked_by}, ${bothTimes(alert.checked_at)}` : ""],
    ["On the shelf", alert.shelved_until ? `until ${bothTimes(alert.shelved_until)}, by ${alert.shelved_by}: ${alert.shelf_reason}` : ""],
    ["Asked", alert.escalated_at ? `${alert.escalated_to}, ${bothTimes(alert.escalated_at)}` : ""],
    ["Note", alert.note],
    ["Away from him", alert.away_deg == null ? "" : `${Math.round(alert.away_deg)}\u00b0, give or take ${Math.round(alert.away_spread_deg)}\u00b0, when decided`],
    ["Her own alarms", (alert.alarms ?? []).map((one) => `${one.id} (${one.cause}), ${localTime(one.time)}`).join(", ")],
    ["Goes on as", alert.merged_into],
    ["Agency", alert.agency],
    ["Decided by", `rules ${alert.rules}, build ${alert.build}`],
    ["Alert", `${alert.alert_id}, version ${alert.version}`],
  ]);
}

const decided = (alert) => ({
  distance: alert.distance_m, low: alert.distance_low_m, high: alert.distance_high_m,
  probability: alert.probability, contact: alert.time_to_contact_s,
});

function figures(condition, { distance, low, high, probability, contact }) {
  return [
    distanceText(condition, distance),
    intervalText(condition, low, high),
    probability == null ? "" : `probability ${percent(probability)}`,
    contact == null ? "" : `contact in ${duration(contact)}`,
  ].filter(Boolean).join("; ");
}

function deviceRows(device) {
  heading(`${device.name || personName(device.person) || "Nobody"}: ${device.kind.replaceAll("_", " ")}`);
  const age = fixAgeSeconds(device);
  const accuracy = accuracyKnown(device) ? `${metres(device.accuracy_m)} (68 %)` : "unknown";
  return [
    ["Device", device.id],
    ["Carried by", device.person ? `${device.person}, ${device.role ?? "no role"}` : "nobody"],
    ["Last fix", device.fix_time ? `${roughly(age)} ago, ${bothTimes(device.fix_time)}` : "none yet"],
    ["Accuracy", device.fix_time ? accuracy : ""],
    ["Contact", { true: "online", false: "offline" }[device.online] ?? "not known"],
    ["Trouble", (device.health ?? []).map((kind) => levelText("device", kind)).join("; ")],
    ["Battery", device.battery_pct == null ? "not known" : `${device.battery_pct} %`],
    ["State", isStale(device) ? "stale: this may not be where the device is" : "reporting"],
  ];
}
