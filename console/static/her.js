// What one protected person has chosen, set for her when she asks; and who read where she was.

import { choose, getChoices, getLooked } from "./api.js";
import { byId, el } from "./dom.js";

const TOPICS = {
  outer_ring: "He is in the outer ring", zones: "He is near a forbidden place", tamper: "His device was tampered with",
  device: "Her own device", outage: "How her protection status is announced",
};
const HOWS = { now: "at once", digest: "once a day", off: "not at all" };
const WHAT = { map: "the map", alerts: "the list of alerts", protection: "protection status", export: "an export of records",
  conduct: "courses of conduct", near: "who was near a place", timeline: "all that is recorded of a case",
  approaches: "a summary of approaches", replay: "decisions, made once more" };
const REFUSED = "refused: ";

const local = (instant) => new Date(instant).toLocaleString();
const when = (us) => local(us / 1000);

function did(what) {
  const named = what.startsWith(REFUSED) ? what.slice(REFUSED.length) : what;
  return `${named === what ? "read" : "asked for, and was refused,"} ${WHAT[named] ?? named}`;
}

function say(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
}

// What is typed while a form is about to be drawn anew would be lost.
function hold(disabled) {
  const fields = byId("choices").querySelector("fieldset");
  if (fields) fields.disabled = disabled;
}

async function show(person) {
  say("");
  hold(true);
  try {
    const [found, looks] = await Promise.all([getChoices(person), getLooked(person)]);
    byId("choices").replaceChildren(form(person, found), ...history(found.history));
    byId("looked").replaceChildren(...looked(looks));
  } catch (error) {
    byId("choices").replaceChildren();
    byId("looked").replaceChildren();
    say(error.message);
  }
}

function field(label, input) {
  return el("p", {}, el("label", {}, `${label} `, input));
}

function select(name, value) {
  return el("select", { name }, ...Object.entries(HOWS).map(([how, text]) => el("option", { value: how, selected: how === value }, text)));
}

function pause(choices) {
  if (!(Date.parse(choices.paused_until) > Date.now())) return [];
  return [el("p", {}, `Paused until ${local(choices.paused_until)}`),
    field("End the pause", el("input", { name: "end", type: "checkbox" }))];
}

function form(person, { choices, version, by, held }) {
  const node = el("form", {}, el("fieldset", {},
    el("h2", {}, version === 0 ? "Nothing chosen: everything is told at once" : `In force: version ${version}, set by ${by === person ? "herself" : by}`),
    el("p", {}, `Alerts held back now: ${held}. That he may be near is always told at once.`),
    ...Object.entries(TOPICS).map(([topic, text]) => field(text, select(topic, choices.topics[topic] ?? "now"))),
    field("Quiet from", el("input", { name: "from", type: "time", value: choices.quiet?.from })),
    field("Quiet to", el("input", { name: "to", type: "time", value: choices.quiet?.to })),
    field("Once a day at", el("input", { name: "digest_at", type: "time", value: choices.digest_at })),
    field("Her time zone", el("input", { name: "zone", value: choices.zone, placeholder: "Europe/Madrid" })),
    ...pause(choices),
    field("Pause for hours from now, at most 72", el("input", { name: "pause", type: "number", min: 0, max: 72, value: 0 })),
    field("How she asked for it", el("input", { name: "note", required: true, maxlength: 500 })),
    el("button", {}, "Set")));
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = Object.fromEntries(new FormData(node));
    hold(true);
    try {
      await choose(person, chosen(data, choices), data.note);
      await show(person);
    } catch (error) {
      say(error.message);
      hold(false);
    }
  });
  return node;
}

function chosen(data, before) {
  const topics = Object.fromEntries(Object.keys(TOPICS).filter((topic) => data[topic] !== "now").map((topic) => [topic, data[topic]]));
  const hours = Number(data.pause);
  return {
    topics, zone: data.zone.trim(),
    quiet: data.from && data.to ? { from: data.from, to: data.to } : null,
    digest_at: data.digest_at || null,
    paused_until: hours > 0 ? new Date(Date.now() + hours * 3600000).toISOString() : data.end ? null : before.paused_until,
  };
}

function history(changes) {
  const rows = changes.map((change) => el("li", {},
    `${local(change.time)}: ${change.problem ? `refused (${change.problem})` : `version ${change.version}`}, by ${change.by === change.person ? "herself" : change.by}, ${change.way}${change.note ? `: ${change.note}` : ""}`));
  return [el("h2", {}, "Everything that was ever set"), rows.length > 0 ? el("ol", {}, ...rows) : el("p", {}, "Nothing.")];
}

function looked(looks) {
  const rows = looks.map((one) => el("li", {},
    `${local(one.time)}: ${one.who} (${one.role}) ${did(one.what)}${one.subject === "*" ? ", with everybody on it" : ""}${one.from_us == null ? "" : `, of ${when(one.from_us)} to ${when(one.to_us)}`}${one.purpose ? `, for ${one.purpose}` : ""}`));
  return [el("h2", {}, "Who read where she is or was"), rows.length > 0 ? el("ol", {}, ...rows) : el("p", {}, "Nobody that is recorded.")];
}

byId("who").addEventListener("submit", (event) => {
  event.preventDefault();
  show(byId("person").value.trim());
});
const asked = new URLSearchParams(location.search).get("person");
if (asked) {
  byId("person").value = asked;
  show(asked);
}
