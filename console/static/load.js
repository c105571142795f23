// How heavy the alerts are on those who work with them, beside what EEMUA 191 and ISA-18.2 ask for,
// and what could not be delivered.

import { getFailedDeliveries, getLoad, getProtection } from "./api.js";
import { byId, el, onPress } from "./dom.js";
import { personName } from "./state.js";
import { localTime, percent, roughly } from "./words.js";

const REFRESH_MS = 5000;

let timer = 0;

export function startLoad() {
  onPress(byId("load"), () => show(byId("load-pane").hidden));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("load-pane").hidden) show(false);
  });
}

function show(open) {
  const pane = byId("load-pane");
  pane.hidden = !open;
  byId("load").setAttribute("aria-expanded", String(open));
  clearInterval(timer);
  if (!open) return;
  const close = el("button", { type: "button" }, "Close");
  onPress(close, () => show(false));
  pane.replaceChildren(
    el("header", {}, el("h2", {}, "Load of alerts"), close),
    el("div", { class: "content" }, el("p", { class: "empty" }, "Looking ...")),
  );
  refresh();
  timer = setInterval(refresh, REFRESH_MS);
}

async function refresh() {
  let content;
  try {
    const [load, failed, people] = await Promise.all([getLoad(), getFailedDeliveries(), getProtection()]);
    content = [...protection(people), figures(load), ...sources(load), ...letters(failed)];
  } catch (error) {
    content = [el("p", { class: "empty" }, error.message)];
  }
  byId("load-pane").querySelector(".content")?.replaceChildren(...content);
}

const STATES = { degraded: "degraded", not_working: "not working" };
const REASONS = {
  service: "the service does not work", no_handset: "she has no handset", handset_silent: "her handset is not heard",
  handset_lost: "her handset has no position", battery_critical: "her handset's battery is nearly empty",
  battery_low: "her handset's battery is low", permission_off: "her handset lacks a permission",
  other_device: "the wearer's device is not heard or has no position, or there is none", cannot_tell: "nearness cannot be excluded",
  many_silent: "very many devices are silent at once", late: "alerts are late", records: "the database is away",
};

// Those who are not fully protected, the worst first.
function protection(people) {
  const bad = people.filter((one) => one.state !== "live")
    .sort((a, b) => Number(b.state === "not_working") - Number(a.state === "not_working"));
  const rows = bad.map((one) => [
    el("a", { href: `/her?person=${encodeURIComponent(one.person)}` }, personName(one.person)), STATES[one.state],
    one.reasons.map(({ code, since }) => `${REASONS[code] ?? code}${since ? ` since ${localTime(since)}` : ""}`).join("; "),
    one.what_to_do,
  ]);
  const summary = `${people.length - bad.length} of ${people.length} protected people are protected as they should be.`;
  return [
    el("h3", {}, "Protection"), el("p", { class: "empty" }, summary, " ", el("a", { href: "/her" }, "What she chooses, and who looked")),
    ...(rows.length > 0 ? [table(["Person", "Status", "Why", "What she is told to do"], rows)] : []),
  ];
}

const spread = ({ count, median_s: median, p95_s: late, longest_s: longest }) => (count === 0
  ? "none yet" : `half within ${roughly(median)}, 95 % within ${roughly(late)}, longest ${roughly(longest)}`);

function figures(load) {
  const [critical, high, warning, technical] = load.by_tier;
  const rows = [
    ["Alerts in 10 minutes, for each open console", `${load.per_operator_10_min.toFixed(1)} (${load.raised_10_min} in all, ${load.operators} open)`, "fewer than 1 (EEMUA 191)"],
    ["Flood", load.flood_since ? `since ${localTime(load.flood_since)}` : "no", "above 10 in 10 minutes until under 5 (ISA-18.2)"],
    ["Share of the time in flood", percent(load.flood_share), "under 1 % (ISA-18.2)"],
    ["Tiers 1 / 2 / 3 and 4", load.raised_day ? [critical, high, warning + technical].map((share) => percent(share)).join(" / ") : "none yet", "about 5 / 15 / 80 % (ISA-18.2)"],
    ["Chattering", load.chattering.join(", ") || "none", "back 3 times in a minute"],
    ["Open for more than a day", String(load.stale), "fewer than 5"],
    ["Until somebody acknowledged", spread(load.to_acknowledge), ""],
    ["Until somebody was sent", spread(load.to_dispatch), ""],
    ["Until her handset had the notice", spread(load.to_deliver), ""],
  ];
  const names = ["", `Since ${localTime(load.since)}`, "To compare with"];
  return table(names, rows);
}

function sources(load) {
  if (load.top_sources.length === 0) return [];
  const rows = load.top_sources.map(({ name, count, share }) => [name, String(count), percent(share)]);
  return [el("h3", {}, "Where most come from"), table(["Condition or device", "Alerts", "Share"], rows)];
}

function letters(failed) {
  if (failed.length === 0) return [];
  const rows = failed.map((record) => [
    localTime(record.time), `${record.recipient}${record.channel ? ` by ${record.channel}` : ""}`, record.reason,
  ]);
  return [el("h3", {}, "Not delivered"), table(["When", "To", "Why"], rows)];
}

function table(names, rows) {
  return el("table", {},
    el("thead", {}, el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell))))));
}
