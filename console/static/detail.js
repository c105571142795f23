// What is selected, in full: an alert with the numbers it rests on, or a device.

import { byId, el, onPress, setText } from "./dom.js";
import { accuracyKnown, closable, fixAgeSeconds, isStale, onChange, personName, state } from "./state.js";
import {
  fixAgesText, inDoubt, isUnknown, lastKnownText, measured, titleText, whoText,
} from "./queue.js";
import {
  TIERS, anomalyText, bothTimes, causeText, distanceText, duration, intervalText, levelText, localTime, metres, percent, roughly,
} from "./words.js";

const NOTE_CHARACTERS = 2000;
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

// The note survives every update, since only the facts around it are drawn anew.
function build(pane, alert, acts) {
  facts = el("dl");
  form = null;
  pane.replaceChildren(el("h2", {}, ""), facts);
  if (alert) {
    form = makeForm(alert.alert_id, acts);
    pane.append(form);
  }
}

function makeForm(id, acts) {
  const note = el("input", {
    id: "note", name: "note", maxlength: NOTE_CHARACTERS, autocomplete: "off",
    placeholder: "What was found and done", "aria-label": "Note for the resolution",
    required: true, // so that a stray Enter closes nothing
  });
  const send = el("button", { type: "submit" }, "Resolve");
  const made = el("form", { class: "resolve" }, note, send);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = note.value.trim();
    if (text) acts.resolve(id, text);
    else note.value = "";
  });
  note.addEventListener("keydown", (event) => {
    if (event.key === "Escape") note.blur();
  });
  return made;
}

export function askForNote() {
  const note = byId("note");
  if (!note || form?.hidden) return false;
  note.focus();
  return true;
}

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
  form.hidden = !closable(alert);
  const now = measured(alert);
  const unknown = isUnknown(alert);
  const watch = state.watches.get(alert.watch);
  drawRows([
    ["Tier", `${alert.tier}, ${TIERS[alert.tier] ?? ""}; worst: ${levelText(alert.condition, alert.highest_level).toLowerCase()}`],
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
