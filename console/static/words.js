// Numbers and names as an operator reads them.

import { serverNow } from "./state.js";

const SPACE = "\u00a0"; // does not break between a number and its unit

export const TIERS = { 1: "critical", 2: "high", 3: "warning", 4: "technical" };

const LEVELS = {
  proximity: {
    clear: "Clear again",
    pre_alert: "Inside outer ring",
    alert: "Inside alert ring",
    contact: "Contact",
    unknown: "Nearness cannot be excluded",
  },
  exclusion: {
    clear: "Clear again",
    pre_alert: "At edge of exclusion zone",
    alert: "Inside exclusion zone",
    contact: "Inside exclusion zone",
    unknown: "Entry cannot be excluded",
  },
  inclusion: {
    clear: "Clear again",
    pre_alert: "At edge of inclusion zone",
    alert: "Outside inclusion zone",
    contact: "Outside inclusion zone",
    unknown: "Absence cannot be excluded",
  },
  device: { // anomalies and health; what else devices tell of is said in their own words
    silent: "No word from the device",
    gnss_lost: "Device has no position",
    battery_low: "Battery is low",
    battery_critical: "Battery is nearly empty",
    permission_off: "Phone lacks a permission",
    fleet_silent: "Very many devices silent at once",
    flood: "Device sends far too much",
    beyond_rights: "Device tries what it has no right to",
    badly_signed: "Messages not rightly signed: refused",
    turned_away: "Not let in, over and over",
    strangers: "Unknown devices at the door",
    frozen: "Position stands still to the centimetre",
    speed: "Moves faster than possible",
    clone: "In two places at once",
    clock: "Clock is wrong",
    clock_gps: "Clock shows GPS time",
    minutes: "Coordinates written wrongly",
    stays_behind: "Tag and own phone are apart",
  },
};

// What an alert has turned out to be; see `alerts.model.Outcome`.
export const OUTCOMES = {
  breach: "Breach: he was where he must not be",
  breach_averted: "Breach averted: he turned round or was made to",
  no_breach: "No breach: explained",
  help_given: "She was helped",
  device_at_fault: "Device at fault",
  pressed_by_mistake: "Pressed by mistake",
  test: "Test",
  not_determined: "Not determined",
};

// What a tamper was checked by; see `alerts.model.CheckKind`.
export const CHECKS = {
  inspected: "Device inspected",
  replaced: "Device replaced",
  second_person: "Not inspected; a second person closes",
};

// What staff do; see `alerts.profile_rules.Action`.
const ACTIONS = {
  call_wearer: "call the wearer: move away",
  call_protected: "call her",
  tell_protected: "if he does not comply, tell her",
  send_patrol: "send a patrol",
  call_police: "call the police",
  inspect_device: "have the device inspected",
  call_supervisor: "call the supervisor",
  watch_on: "watch on",
};

export const procedureText = (actions) => (actions ?? [])
  .map((action, index) => `${index + 1}. ${ACTIONS[action] ?? action}`).join("  ");

export const WAYS = {
  north: "North", east: "East", south: "South", west: "West", stay: "Stay inside",
};

const CAUSES = {
  position: "by position",
  ahead: "predicted: where they will be soon",
  path: "passed between two fixes",
  beacon: "beacon: one device hears the other",
  silence: "silence: no fix that could exclude it",
  calm: "away for long enough",
  plan: "the caseload no longer asks for it",
  no_word: "nothing has arrived from it",
  offline: "the connection was lost, and nothing has arrived since",
  no_fix: "it is heard, but reports no position",
  event: "the device says so",
  level: "by the level it reports",
  many: "a network or a server is likely the cause",
  quiet: "nothing more was tried",
  flood: "more than 20 messages a second; what exceeds that is taken in later",
  not_its_topic: "it published on another's topic, which is lost",
  not_its_commands: "it wanted to hear another's commands",
  bad_signature: "the signature does not fit: forged, damaged, or another key",
  not_signed: "it has to sign with a key in force, and did not",
  wrong_password: "a wrong password was given in its name",
  no_name: "no name was given",
  unknown_device: "no device of this name has been provisioned",
  unknown_certificate: "its certificate is of no device",
  credential_revoked: "its credential was revoked",
  credential_expired: "its credential has expired",
  other_identity: "the name of one device, the certificate of another",
  other_client_id: "its MQTT client id belongs to somebody else",
  tls_failed: "the TLS handshake failed",
};

// What the level rests on, in plain words.
export function causeText({ cause, closest_m: closest, closest_at: at }) {
  const said = CAUSES[cause] ?? cause ?? "";
  if (cause !== "path" || closest == null) return said;
  return `${said}, ${closest < 0 ? metres(-closest) + " inside" : metres(closest)} at the nearest${at ? `, ${localTime(at)}` : ""}`;
}

const ANOMALIES = {
  frozen: (seconds, fixes) => `the same position for ${roughly(seconds)}, in ${fixes} fixes`,
  speed: (mps, fixes) => `${Math.round(mps * 3.6)} km/h, in ${fixes} fixes in a row`,
  clone: (distance, changes) => `${metres(distance)} apart, ${changes} changes between the two`,
  clock: (seconds) => `${roughly(Math.abs(seconds))} ${seconds < 0 ? "behind" : "ahead"}`,
  clock_gps: (seconds) => `${roughly(Math.abs(seconds))} ahead`,
  minutes: (distance, fixes) => `${metres(distance)} off, in ${fixes} fixes`,
  stays_behind: (distance, which) => `${metres(distance)} apart; the ${which ? "phone" : "tag"} stands`,
};

const HEALTH = {
  silent: (seconds) => `for ${roughly(seconds)} when this was raised`,
  gnss_lost: (seconds) => (seconds ? `for ${roughly(seconds)} when this was raised` : ""),
  battery_low: (share) => `${Math.round(share)}${SPACE}%`,
  battery_critical: (share) => `${Math.round(share)}${SPACE}%`,
  fleet_silent: (devices) => `${Math.round(devices)} when this was raised, and maybe more since`,
  strangers: (names) => `${Math.round(names)} names when this was raised, and maybe more since`,
};

// The numbers of an anomaly or of a device's health; empty where nothing was measured.
export function anomalyText({ anomaly, health, companion, quantity, count }) {
  const say = ANOMALIES[anomaly] ?? HEALTH[health];
  if (quantity == null || !say) return "";
  return say(quantity, count) + (companion ? ` (${companion})` : "");
}

export function levelText(condition, level) {
  const plain = level.replaceAll("_", " ");
  return LEVELS[condition]?.[level] ?? plain.charAt(0).toUpperCase() + plain.slice(1);
}

export function metres(value) {
  const size = Math.abs(value);
  if (size < 10) return `${value.toFixed(1)}${SPACE}m`;
  if (size < 2000) return `${Math.round(value)}${SPACE}m`;
  return `${(value / 1000).toFixed(size < 20000 ? 2 : 1)}${SPACE}km`;
}

// A zone's distance is signed: negative is inside.
const ZONES = new Set(["exclusion", "inclusion"]);

export function distanceText(condition, value) {
  if (value == null) return "distance unknown";
  if (!ZONES.has(condition)) return metres(value);
  return `${metres(Math.abs(value))} ${value < 0 ? "inside" : "outside"}`;
}

// Nobody should have to know what a negative distance is.
export function intervalText(condition, low, high) {
  if (low == null || high == null) return "";
  const said = `95${SPACE}%: `;
  if (!ZONES.has(condition)) return said + range(low, high);
  if (high <= 0) return said + range(-high, -low); // on the same side as the distance
  if (low >= 0) return said + range(low, high);
  return `${said}${metres(-low)} inside to ${metres(high)} outside`;
}

function range(low, high) {
  const [from, to] = [metres(low), metres(high)];
  const unit = to.slice(to.lastIndexOf(SPACE));
  return `${from.endsWith(unit) ? from.slice(0, -unit.length) : from} to ${to}`;
}

// Never "100 %" of something that is only very likely.
export function percent(value) {
  if (value == null) return "";
  if (value > 0.99 && value < 1) return `over 99${SPACE}%`;
  if (value < 0.01 && value > 0) return `under 1${SPACE}%`;
  return `${Math.round(value * 100)}${SPACE}%`;
}

export const ageSeconds = (iso) => (serverNow() - Date.parse(iso)) / 1000;

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value) => String(value).padStart(2, "0");
  if (whole < 3600) return `${two(Math.floor(whole / 60))}:${two(whole % 60)}`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
  return `${Math.floor(whole / 86400)} days`;
}

// Short, for the map and for running text: 8 s, 3 min, 2 h.
export function roughly(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const LOCAL = new Intl.DateTimeFormat([], {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short",
});
const LOCAL_DAY = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });

// Local time with its zone; the day too when it is not today.
export function localTime(moment) {
  const date = new Date(moment);
  const today = new Date(serverNow()).toDateString() === date.toDateString();
  return (today ? "" : `${LOCAL_DAY.format(date)} `) + LOCAL.format(date);
}

const utcTime = (moment) => `${new Date(moment).toISOString().slice(11, 19)} UTC`;

// Both, for what may end in a report; once where they are the same.
export function bothTimes(moment) {
  const local = localTime(moment);
  const utc = utcTime(moment);
  return local.endsWith(utc) ? local : `${local} (${utc})`;
}
