// What devices sent and the service could not accept: from whom, why, how often. Below it, which
// devices report though nobody carries them.

import { getRefusals, getUnassigned } from "./api.js";
import { byId, el, onPress } from "./dom.js";
import { state } from "./state.js";
import { localTime } from "./words.js";

const REFRESH_MS = 5000;
const COLUMNS = ["Device", "What was wrong", "Count", "Last"];

// In an operator's words; what the decoder said stands below them, for whoever mends the device.
const MEANINGS = {
  unknown_topic: "Sent to an address where nothing is expected",
  bad_device: "The device's name is not one that a device can have",
  too_large: "The message is too large",
  too_many: "Too many positions in one message",
  too_deep: "The message is built in a way no device needs",
  empty: "The message is empty",
  not_json: "The message cannot be read",
  not_a_number: "A number is not a number",
  missing_field: "Something that is needed is missing",
  wrong_type: "A value is not of the kind expected",
  out_of_range: "A value lies outside what is possible",
  unknown_value: "A value is none of those known",
  bad_time: "The time is not possible: the device's clock is wrong, or the time is unreadable",
  bad_text: "A text cannot be read",
  not_msgpack: "The message cannot be read",
  encrypted: "Encrypted by the phone's app, with a key that is not known here",
  bad_signature: "The signature does not fit: forged, or made with another key",
  not_signed: "Not signed, though this device has to sign",
  adapter_failed: "The service itself failed at it: report this with the message",
  broker_closed: "The connection was cut for what it sent; the message itself is lost",
};

const UNASSIGNED = ["Device", "Reports of the last week", "First", "Last"];

const FIELDS = {
  lat: "latitude", lon: "longitude", accuracy_m: "accuracy", time: "time", type: "kind of event",
  battery_pct: "battery", speed_mps: "speed", course_deg: "course", altitude_m: "altitude",
};

let timer = 0;
let shown = "";

export function startRefusals() {
  const button = byId("refused");
  onPress(button, () => show(byId("quarantine").hidden));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("quarantine").hidden) show(false);
  });
}

function show(open) {
  const pane = byId("quarantine");
  pane.hidden = !open;
  byId("refused").setAttribute("aria-expanded", String(open));
  clearInterval(timer);
  if (!open) return;
  shown = "";
  pane.replaceChildren(head(), el("div", { class: "content" }, el("p", { class: "empty" }, "Looking ...")));
  refresh();
  timer = setInterval(refresh, REFRESH_MS);
}

function head() {
  const close = el("button", { type: "button" }, "Close");
  onPress(close, () => show(false));
  return el("header", {}, el("h2", {}, "Refused messages"), close);
}

async function refresh() {
  let content;
  let key;
  try {
    const [rows, strangers] = await Promise.all([getRefusals(), getUnassigned()]);
    key = JSON.stringify([rows, strangers]);
    content = () => [...table(rows), ...unassigned(strangers)];
  } catch (error) {
    key = error.message;
    content = () => [el("p", { class: "empty" }, error.message)];
  }
  if (key === shown) return; // what an operator is reading or copying stays as it is
  shown = key;
  byId("quarantine").querySelector(".content")?.replaceChildren(...content());
}

function table(rows) {
  if (rows.length === 0) return [el("p", { class: "empty" }, "Everything that arrived could be read.")];
  const names = COLUMNS.map((name) => el("th", { scope: "col", class: name === "Count" ? "number" : null }, name));
  return [
    el("p", { class: "empty" }, "None of these was used for a decision. They are kept as evidence, as far as they arrived. Each device's maker or installer can tell from the small print what to mend."),
    el("table", {}, el("thead", {}, el("tr", {}, ...names)), el("tbody", {}, ...rows.map(line))),
  ];
}

function unassigned(rows) {
  if (rows.length === 0) return [];
  const names = UNASSIGNED.map((name) => el("th", { scope: "col" }, name));
  return [
    el("h3", {}, "Not assigned"),
    el("p", { class: "empty" }, "These devices report, and nobody carries them: they are in no caseload, or assigned to nobody now. What they send is kept; it moves nobody on the map."),
    el("table", { class: "unassigned" }, el("thead", {}, el("tr", {}, ...names)), el("tbody", {}, ...rows.map((row) => el(
      "tr", {},
      el("td", { class: "device" }, row.device),
      el("td", { class: "number" }, String(row.reports)),
      el("td", { class: "when" }, localTime(row.first_time)),
      el("td", { class: "when" }, localTime(row.last_time)),
    )))),
  ];
}

function line(row) {
  const field = FIELDS[/^\$\.([a-z_]+)/.exec(row.reason)?.[1]];
  const meaning = MEANINGS[row.code] ?? row.reason;
  const position = row.item == null ? "" : `, item ${row.item} of the message`;
  return el(
    "tr", {},
    el("td", { class: "device" }, row.device || "unknown", el("small", {}, bearer(row))),
    el("td", {}, meaning + (field ? `: ${field}` : ""), el("small", {}, `${row.reason} (${row.code}${position})`)),
    el("td", { class: "number" }, String(row.count)),
    el("td", { class: "when" }, localTime(row.last_time)),
  );
}

// Who carries it; a connection that was cut only said who it was.
function bearer({ device, code }) {
  if (code === "broker_closed") return device ? "as the connection called itself" : "the connection gave no name";
  const known = state.devices.get(device);
  return known ? known.name : "carried by nobody on the map";
}
