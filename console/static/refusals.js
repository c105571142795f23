// What devices sent and the service could not accept: from whom, why, how often.

import { getRefusals } from "./api.js";
import { byId, el, onPress } from "./dom.js";
import { localTime } from "./words.js";

const REFRESH_MS = 5000;
const COLUMNS = ["Device", "Reason", "Count", "Last"];

let timer = 0;

export function startRefusals() {
  const button = byId("refused");
  onPress(button, () => show(byId("quarantine").hidden));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("quarantine").hidden) show(false);
  });
}

function show(open) {
  byId("quarantine").hidden = !open;
  byId("refused").setAttribute("aria-expanded", String(open));
  clearInterval(timer);
  if (!open) return;
  refresh();
  timer = setInterval(refresh, REFRESH_MS);
}

async function refresh() {
  const pane = byId("quarantine");
  try {
    draw(pane, await getRefusals());
  } catch (error) {
    pane.replaceChildren(title(), el("p", { class: "empty" }, error.message));
  }
}

function title() {
  const close = el("button", { type: "button" }, "Close");
  onPress(close, () => show(false));
  return el("header", {}, el("h2", {}, "Refused messages"), close);
}

function draw(pane, rows) {
  if (rows.length === 0) {
    pane.replaceChildren(title(), el("p", { class: "empty" }, "Everything that arrived could be read."));
    return;
  }
  const body = el("tbody", {}, ...rows.map((row) => el(
    "tr", {},
    el("td", {}, row.device || "unknown"),
    el("td", {}, row.reason, el("small", {}, row.item == null ? row.code : `${row.code}, item ${row.item}`)),
    el("td", { class: "number" }, String(row.count)),
    el("td", {}, localTime(row.last_time)),
  )));
  const head = el("thead", {}, el("tr", {}, ...COLUMNS.map((name) => el("th", { scope: "col", class: name === "Count" ? "number" : null }, name))));
  pane.replaceChildren(title(), el("table", {}, head, body));
}
