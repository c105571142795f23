// Courses of conduct: acts over days that are much together. Findings, not alerts: nothing here
// sounds, blinks or asks for a step.

import { getConduct, getPattern } from "./api.js";
import { drawTimeline, lanesOf } from "./timeline.js";
import { byId, el, onPress } from "./dom.js";
import { personName } from "./state.js";
import { OUTCOMES, duration, localTime, metres } from "./words.js";

const REFRESH_MS = 30000;

const KINDS = {
  probing: "came to the edge and went back", approach: "came too near or entered a zone",
  loitering: "stayed near her, a zone or a place of hers", following: "was on her way behind her",
  tampering: "tampered with the tag", mixed: "acts of several kinds",
};
const STATES = { going_on: "goes on", over: "over: a fortnight of quiet", withdrawn: "withdrawn: it holds no longer" };

let timer = 0;
let shown = null; // id of the pattern that is open
let drawn = "";

const iso = (us) => new Date(us / 1000).toISOString();
const when = (us) => localTime(iso(us));

export function startConduct() {
  onPress(byId("conduct"), () => show(byId("conduct-pane").hidden));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("conduct-pane").hidden) show(false);
  });
}

function show(open) {
  const pane = byId("conduct-pane");
  pane.hidden = !open;
  byId("conduct").setAttribute("aria-expanded", String(open));
  clearInterval(timer);
  [shown, drawn] = [null, ""];
  if (!open) return;
  const close = el("button", { type: "button" }, "Close");
  onPress(close, () => show(false));
  pane.replaceChildren(
    el("header", {}, el("h2", {}, "Courses of conduct"), close),
    el("div", { class: "content" }, el("p", { class: "empty" }, "Looking ...")),
  );
  refresh();
  timer = setInterval(refresh, REFRESH_MS);
}

async function refresh() {
  const asked = shown;
  let key;
  let content;
  try {
    const found = asked === null ? await getConduct() : await getPattern(asked);
    key = JSON.stringify(found);
    content = () => (asked === null ? list(found) : one(found));
  } catch (error) {
    key = error.message;
    content = () => [...(asked === null ? [] : [back()]), el("p", { class: "empty" }, error.message)];
  }
  if (asked !== shown || key === drawn) return; // another was opened, or nothing has changed
  drawn = key;
  byId("conduct-pane").querySelector(".content")?.replaceChildren(...content());
}

function open(id) {
  [shown, drawn] = [id, ""];
  refresh();
}

function list(patterns) {
  const explanation = el("p", { class: "empty" }, "What is little by itself and much together: recognised in what is stored, shown as one, with all that it rests on. None of these is an alert; alerts are raised as ever.");
  if (patterns.length === 0) return [explanation, el("p", { class: "empty" }, "No course of conduct has been recognised.")];
  const names = ["Who, towards whom", "What", "First", "Last", "State"].map((name) => el("th", { scope: "col" }, name));
  return [explanation, el("table", {}, el("thead", {}, el("tr", {}, ...names)), el("tbody", {}, ...patterns.map(line)))];
}

function line(pattern) {
  const title = el("button", { type: "button" }, who(pattern));
  onPress(title, () => open(pattern.pattern_id));
  return el(
    "tr", {},
    el("td", {}, title),
    el("td", {}, occasions(pattern)),
    el("td", { class: "when" }, when(pattern.began_us)),
    el("td", { class: "when" }, when(pattern.last_us)),
    el("td", {}, stateText(pattern)),
  );
}

const who = ({ subject }) => personName(subject.wearer) + (subject.protected ? `, towards ${personName(subject.protected)}` : "");

const occasions = (pattern) => Object.entries(pattern.occasions).map(([kind, count]) => `${count} \u00d7 ${kind}`).join(", ") || "nothing counts any more";

const stateText = (pattern) => STATES[pattern.state] + (pattern.persistent ? "; more than two weeks" : "");

function back() {
  const button = el("button", { type: "button" }, "All courses of conduct");
  onPress(button, () => open(null));
  return button;
}

function one(pattern) {
  const lanes = lanesOf(pattern.acts);
  const explained = pattern.acts.filter((act) => act.explained).length;
  return [
    back(),
    el("h3", {}, `${who(pattern)}: ${stateText(pattern)}`),
    drawTimeline(pattern, lanes, when),
    el("p", { class: "empty" }, `${pattern.acts.length + pattern.left_out} acts from ${when(pattern.began_us)} to ${when(pattern.last_us)}.`
      + (explained ? ` ${explained} of them (hollow) are explained and count for nothing.` : "")
      + (pattern.left_out ? ` ${pattern.left_out} between the first and the second are left out here.` : "")
      + " That two were on one way says nothing of why: whoever acts on this looks at each act."),
    el("h3", {}, "Why it is shown"),
    el("ul", { class: "reasons" }, ...pattern.reasons.map((reason) => el("li", {}, `${reason.needed} occasions within ${reason.within_days} days: ${KINDS[reason.kind]}. Reached from ${when(reason.from_us)} to ${when(reason.to_us)}; ${reason.found} in all.`))),
    el("p", { class: "empty" }, `Thresholds of the profile ${pattern.subject.profile}; version ${pattern.version} of this finding, ${pattern.pattern_id}.`),
    el("h3", {}, "Acts, and what each rests on"),
    acts(pattern.acts),
  ];
}

function acts(found) {
  const names = ["When", "What", "Measured", "Rests on"].map((name) => el("th", { scope: "col" }, name));
  return el("table", { class: "acts" }, el("thead", {}, el("tr", {}, ...names)), el("tbody", {}, ...found.map((act) => el(
    "tr", {},
    el("td", { class: "when" }, when(act.began_us), el("small", {}, act.ended_us === null ? "goes on" : duration((act.ended_us - act.began_us) / 1e6))),
    el("td", {}, KINDS[act.kind], el("small", {}, act.explained ? `Explained: ${OUTCOMES[act.explained] ?? act.explained}` : "")),
    el("td", {}, measures(act)),
    el("td", {}, el("details", {}, el("summary", {}, rests(act)), ...act.rests.map((rest) => el("small", {}, `${rest.kind} ${rest.id}, ${when(rest.at_us)}`)))),
  ))));
}

const measures = (act) => [
  act.closest_m === null ? "" : act.closest_m < 0 ? `${metres(-act.closest_m)} inside` : `nearest ${metres(act.closest_m)}`,
  act.lag_s === null ? "" : `${duration(act.lag_s)} after her`,
  act.moved_m === null ? "" : `over ${metres(act.moved_m)}`,
].filter(Boolean).join(", ");

function rests(act) {
  const counts = new Map();
  for (const { kind } of act.rests) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => (kind === "fixes" ? "both tracks" : `${count} ${kind}${count > 1 ? "s" : ""}`)).join(", ");
}
