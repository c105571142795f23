// The map. Everything else works without it: no WebGL or no map library ends in a notice.

import { getBasemap } from "./api.js";
import { byId, el, onPress } from "./dom.js";
import { bounds, positions } from "./geo.js";
import { symbolImage } from "./marks.js";
import {
  accuracyFeatures, concerns, deviceFeatures, pairFeatures, ringFeatures, zoneFeatures,
} from "./mapdata.js";
import { hasPlace, onChange, select, state } from "./state.js";
import { THEMES, mapStyle } from "./style.js";

const LIBRARY = "/static/vendor/maplibre-gl/maplibre-gl";
const DRAW_MS = 400; // not drawn more often than this, all changes together
const SLOWEST_MS = 3000; // but this often, however slow the browser draws
const AGES_MS = 1500; // drawn at least this often: ages grow when nothing arrives
const MARGIN_PX = 70;
const NEAREST_ZOOM = 17;

const DATA = {
  zones: zoneFeatures, rings: ringFeatures, accuracy: accuracyFeatures, pairs: pairFeatures,
  devices: deviceFeatures,
};

const light = matchMedia("(prefers-color-scheme: light)");
const theme = () => (light.matches ? THEMES.light : THEMES.dark);

let map = null;
let basemap = null;
let drawnAt = 0;
let tookMs = 0; // from the newest data to the last of its frames
let settled = true; // that last frame has been drawn
let waiting = 0;
let fitted = false;

export async function startMap() {
  if (!hasWebGl()) {
    notice(
      "This browser has no WebGL, so there is no map.",
      "Alerts, distances and all actions work without it. To see the map, allow hardware or software rendering in the browser's settings.",
    );
    return;
  }
  const library = await import(`${LIBRARY}.mjs`).catch(() => null);
  if (!library) {
    notice(
      "The map library is not installed, so there is no map.",
      "Alerts, distances and all actions work without it. Install Cordon again with network access and without CORDON_SKIP_ASSETS=1.",
    );
    return;
  }
  await loadStyleSheet();
  basemap = await getBasemap().catch(() => null);
  create(library);
}

function hasWebGl() {
  try {
    return Boolean(document.createElement("canvas").getContext("webgl2"));
  } catch {
    return false;
  }
}

function notice(what, then) {
  byId("map").dataset.map = "none";
  const box = byId("map-notice");
  box.replaceChildren(el("strong", {}, what), el("p", {}, then));
  box.hidden = false;
  byId("show-all").hidden = true;
}

function loadStyleSheet() {
  return new Promise((done) => {
    const link = el("link", { rel: "stylesheet", href: `${LIBRARY}.css` });
    link.addEventListener("load", done);
    link.addEventListener("error", done);
    document.head.prepend(link);
  });
}

function create({ Map, NavigationControl, ScaleControl, AttributionControl }) {
  map = new Map({
    container: "map", style: mapStyle(theme(), basemap), center: [0, 20], zoom: 1.5,
    fadeDuration: 0, attributionControl: false, dragRotate: false, pitchWithRotate: false,
    touchPitch: false, maxPitch: 0,
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new ScaleControl({ unit: "metric" }), "bottom-right");
  if (basemap?.attribution) {
    map.addControl(new AttributionControl({ customAttribution: escaped(basemap.attribution) }), "bottom-right");
  }
  map.setMissingStyleImageResolver((id) => {
    if (id.startsWith("device-")) map.addImage(id, symbolImage(id, theme()), { pixelRatio: 2 });
  });
  map.on("style.load", () => draw());
  map.on("click", ({ point }) => {
    const [found] = map.queryRenderedFeatures(point, { layers: ["device"] });
    if (found) select({ device: found.properties.id });
  });
  map.on("idle", () => {
    byId("map").dataset.map = "ready";
    if (!settled) tookMs = Date.now() - drawnAt;
    settled = true;
  });
  map.getCanvas().setAttribute("aria-label", "Map of people, rings and zones");
  light.addEventListener("change", () => map.setStyle(mapStyle(theme(), basemap), { diff: false }));
  onPress(byId("show-all"), showAll);
  onChange((changes) => {
    const aged = changes.has("second") && Date.now() - drawnAt > AGES_MS;
    if (aged || changes.has("devices") || changes.has("plan")) soon();
    if (changes.has("selection")) showSelected();
  });
}

// The attribution control takes markup, and what an installation wrote is not ours to trust.
function escaped(text) {
  return el("i", {}, String(text)).innerHTML;
}

// Without a graphics card many people take long to draw. Half of the time stays free, so that
// the operator's keys and presses never queue behind the map.
function soon() {
  if (waiting) return;
  const paceMs = Math.min(SLOWEST_MS, Math.max(DRAW_MS, 2 * tookMs));
  waiting = setTimeout(draw, Math.max(0, drawnAt + paceMs - Date.now()));
}

function draw() {
  clearTimeout(waiting);
  waiting = 0;
  if (!map.getSource("devices")) return;
  if (!settled) tookMs = Date.now() - drawnAt; // and more: it is still at it
  drawnAt = Date.now();
  settled = false;
  for (const [name, make] of Object.entries(DATA)) map.getSource(name).setData(make());
  byId("map").dataset.devices = String([...state.devices.values()].filter(hasPlace).length);
  if (!fitted) fitted = showAll();
}

// The views are jumped to: software rendering cannot animate, and an operator does not wait.
function show(box) {
  if (!box || !map) return false;
  map.fitBounds(box, { padding: MARGIN_PX, maxZoom: NEAREST_ZOOM, animate: false });
  return true;
}

export function showAll() {
  const devices = [...state.devices.values()].filter(hasPlace).map(({ lon, lat }) => [lon, lat]);
  const zones = state.zones.flatMap((zone) => positions(zone.geometry));
  return show(bounds([...devices, ...zones], 100));
}

function showSelected() {
  const alert = state.alerts.get(state.selected?.alert);
  if (!alert) return;
  const { places, reachM, zone } = concerns(alert);
  show(bounds([...places, ...(zone ? positions(zone.geometry) : [])], reachM));
}
