// Wires the page: stream in, acts out, keys.

import { getPicture, getSession, leave, takeStep } from "./api.js";
import { startConduct } from "./conduct.js";
import { askForNote, startDetail } from "./detail.js";
import { byId, onPress, setText } from "./dom.js";
import { startLoad } from "./load.js";
import { startLegend } from "./legend.js";
import { showAll, startMap } from "./map.js";
import { startQueue, step } from "./queue.js";
import { startRefusals } from "./refusals.js";
import { startSound } from "./sound.js";
import {
  alertsRunOut, applyAlert, applyPicture, applyPositions, applyService, beginPicture, changed, closable,
  isNew, select, setFeed, state,
} from "./state.js";
import { startStatus } from "./status.js";
import { openStream } from "./stream.js";

const RETRY_MS = 2000;
const MESSAGE_MS = 20000;

let build = null;
let havePicture = false;
let fetching = false;
let fetchAgain = false;
let messageTimer = 0;
const underWay = new Set(); // alerts with an act whose answer is awaited

function say(text) {
  const box = byId("message");
  setText(box, text);
  box.hidden = text === "";
  clearTimeout(messageTimer);
  if (text) messageTimer = setTimeout(() => say(""), MESSAGE_MS);
}

async function refresh() {
  if (fetching) {
    fetchAgain = true;
    return;
  }
  fetching = true;
  fetchAgain = false;
  beginPicture();
  try {
    applyPicture(await getPicture());
    havePicture = true;
  } catch (error) {
    if (error.status === 401) setFeed("signed-out");
    else setTimeout(refresh, RETRY_MS);
  }
  fetching = false;
  if (fetchAgain) refresh();
}

// Names the alert and the version that was on the screen; the server refuses if it has changed.
// True when the step was taken.
async function act(id, step, body = {}) {
  const alert = state.alerts.get(id);
  if (!alert || underWay.has(id)) return false;
  underWay.add(id);
  say("");
  let taken = false;
  try {
    applyAlert(await takeStep(alert, step, body));
    taken = true;
  } catch (error) {
    if (error.alert) applyAlert(error.alert);
    if (error.status === 401) setFeed("signed-out");
    if (error.status === 404) refresh();
    say(error.message);
  }
  underWay.delete(id);
  return taken;
}

const acts = {
  acknowledge: (id) => act(id, "acknowledge"),
  step: act,
  // The step that the row offers: take in hand what is new, close what is in hand.
  next(id) {
    const alert = state.alerts.get(id);
    if (!alert) return;
    select({ alert: id });
    if (isNew(alert)) acts.acknowledge(id);
    else setTimeout(askForNote); // after the press has given the button the focus
  },
};

const keys = {
  j: () => step(1),
  k: () => step(-1),
  a: () => {
    const alert = state.alerts.get(state.selected?.alert);
    if (alert && isNew(alert)) acts.acknowledge(alert.alert_id);
  },
  r: () => {
    const alert = state.alerts.get(state.selected?.alert);
    if (!alert) return;
    if (isNew(alert)) say("Acknowledge the alert before you resolve it.");
    else if (!closable(alert)) say("This alert closes by itself when what it is about is over.");
    else askForNote();
  },
  f: showAll,
  Escape: () => select(null),
};

function onKey(event) {
  const typing = event.target.closest?.("input, textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const onThisKey = keys[event.key];
  if (!onThisKey || (event.repeat && event.key === "a")) return;
  event.preventDefault();
  onThisKey();
}

const handlers = {
  hello(data) {
    if (build !== null && build !== data.build) location.reload();
    build = data.build;
    if (!havePicture || !data.resumed) refresh();
  },
  alert: (data) => applyAlert(data.alert),
  plan: refresh,
  resync: refresh,
  positions: applyPositions,
  service(data) {
    applyService(data.service);
    if (alertsRunOut()) refresh();
  },
};

async function start() {
  startStatus();
  startQueue(acts);
  startDetail(acts);
  startRefusals();
  startConduct();
  startLoad();
  startSound();
  startLegend();
  document.addEventListener("keydown", onKey);
  onPress(byId("leave"), async () => {
    await leave().catch(() => {});
    location.assign("/");
  });
  openStream(handlers);
  setInterval(() => changed("second"), 1000);
  changed("second", "feed");
  const session = await getSession().catch(() => null);
  if (session) setText(byId("operator"), session.operator);
  await startMap();
}

start();
