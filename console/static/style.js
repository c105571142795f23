// How the map looks, dark and light. Labels use the browser's own fonts: no glyphs are fetched.

import { HUES } from "./marks.js";

const FONT = ["sans-serif"];

export const THEMES = {
  dark: {
    ground: "#10171f", ink: "#e6edf3", rim: "#0b1016", halo: "#10171f", water: "#173047",
    park: "#15271f", building: "#18212b", street: "#27333f", major: "#354453", casing: "#0e141b",
    name: "#8fa1b2",
  },
  light: {
    ground: "#eef1f3", ink: "#16202a", rim: "#16202a", halo: "#ffffff", water: "#c4d9e9",
    park: "#d6e6d3", building: "#e2e6e9", street: "#ffffff", major: "#ffffff", casing: "#cbd3d9",
    name: "#5a6873",
  },
};

const EMPTY = { type: "FeatureCollection", features: [] };

export const SOURCES = ["zones", "rings", "accuracy", "pairs", "devices"];

const byLevel = ["match", ["get", "level"],
  "pre_alert", HUES.pre_alert, "alert", HUES.alert, "contact", HUES.contact];

export function mapStyle(theme, basemap) {
  const sources = Object.fromEntries(SOURCES.map((name) => [name, { type: "geojson", data: EMPTY }]));
  sources.base = { type: "geojson", data: basemap ?? EMPTY };
  return {
    version: 8,
    sources,
    layers: [
      { id: "ground", type: "background", paint: { "background-color": theme.ground } },
      ...baseLayers(theme), ...zoneLayers(theme), ...peopleLayers(theme),
    ],
  };
}

const kind = (name) => ["==", ["get", "kind"], name];
const line = (id, source, paint, more = {}) => ({ id, source, type: "line", paint, ...more });

function baseLayers(theme) {
  const area = (name) => ({
    id: name, source: "base", type: "fill", filter: kind(name), paint: { "fill-color": theme[name] },
  });
  const round = { layout: { "line-cap": "round", "line-join": "round" } };
  const isMajor = ["==", ["get", "major"], true];
  const size = (extra) => ["interpolate", ["exponential", 1.6], ["zoom"],
    11, ["case", isMajor, 1 + extra, 0.4 + extra],
    15, ["case", isMajor, 5 + extra, 2.2 + extra],
    18, ["case", isMajor, 18 + extra, 10 + extra]];
  return [
    area("park"), area("water"), area("building"),
    line("street-casing", "base", { "line-color": theme.casing, "line-width": size(1.6) }, { filter: kind("street"), ...round }),
    line("street", "base", { "line-color": ["case", isMajor, theme.major, theme.street], "line-width": size(0) }, { filter: kind("street"), ...round }),
    {
      id: "street-name", source: "base", type: "symbol", filter: ["all", kind("street"), ["has", "name"]], minzoom: 14,
      layout: { "symbol-placement": "line", "text-field": ["get", "name"], "text-font": FONT, "text-size": 11, "symbol-spacing": 400 },
      paint: { "text-color": theme.name, "text-halo-color": theme.halo, "text-halo-width": 1.2 },
    },
  ];
}

function zoneLayers(theme) {
  const hue = ["match", ["get", "kind"], "inclusion", HUES.clear, HUES.contact];
  const breached = ["==", ["get", "breached"], true];
  return [
    { id: "zone", source: "zones", type: "fill", paint: { "fill-color": hue, "fill-opacity": ["case", breached, 0.3, 0.1] } },
    line("zone-edge", "zones", { "line-color": hue, "line-width": ["case", breached, 3, 1.5] }),
    {
      id: "zone-name", source: "zones", type: "symbol",
      layout: { "text-field": ["get", "name"], "text-font": FONT, "text-size": 12, "text-max-width": 8 },
      paint: { "text-color": theme.ink, "text-halo-color": theme.halo, "text-halo-width": 1.5 },
    },
  ];
}

function peopleLayers(theme) {
  const ringHue = ["match", ["get", "ring"], "contact", HUES.contact, "alert", HUES.alert, HUES.pre_alert];
  const active = ["==", ["get", "active"], true];
  const uncertain = ["==", ["get", "level"], "unknown"];
  const roleHue = ["match", ["get", "role"], "wearer", HUES.wearer, "protected", HUES.protected, HUES.other];
  return [
    line("ring-casing", "rings", { "line-color": theme.rim, "line-width": 4 }, { filter: ["!=", ["get", "ring"], "pre_alert"] }),
    line("ring-outer-casing", "rings", { "line-color": theme.rim, "line-width": 4, "line-dasharray": [2, 1.5] }, { filter: ["==", ["get", "ring"], "pre_alert"] }),
    line("ring", "rings", { "line-color": ringHue, "line-width": ["case", active, 2.6, 1.8] },
      { filter: ["!=", ["get", "ring"], "pre_alert"] }),
    line("ring-outer", "rings", { "line-color": ringHue, "line-width": 2, "line-dasharray": [4, 3] },
      { filter: ["==", ["get", "ring"], "pre_alert"] }),
    { id: "accuracy", source: "accuracy", type: "fill", paint: { "fill-color": roleHue, "fill-opacity": ["case", ["==", ["get", "stale"], true], 0.06, 0.2] } },
    line("accuracy-edge", "accuracy", { "line-color": roleHue, "line-width": 1.2 }),
    line("pair-casing", "pairs", { "line-color": theme.rim, "line-width": 5.5 }, { filter: ["!", uncertain] }),
    line("pair", "pairs", { "line-color": [...byLevel, theme.ink], "line-width": 3 }, { filter: ["!", uncertain] }),
    line("pair-unsure", "pairs", { "line-color": theme.ink, "line-width": 2.5, "line-dasharray": [2, 2] }, { filter: uncertain }),
    {
      id: "device", source: "devices", type: "symbol",
      layout: {
        "icon-image": ["get", "symbol"], "icon-allow-overlap": true, "icon-ignore-placement": true,
        "text-field": ["get", "label"], "text-font": FONT, "text-size": 12, "text-offset": [0, 1.5],
        "text-anchor": "top", "text-optional": true, "text-line-height": 1.25, "text-max-width": 14,
      },
      paint: { "text-color": theme.ink, "text-halo-color": theme.halo, "text-halo-width": 1.6 },
    },
    {
      id: "pair-label", source: "pairs", type: "symbol",
      layout: {
        "symbol-placement": "line-center", "text-field": ["get", "label"], "text-font": FONT,
        "text-size": 13, "text-allow-overlap": true, "text-rotation-alignment": "viewport", "text-offset": [0, -0.9],
      },
      paint: { "text-color": theme.ink, "text-halo-color": theme.halo, "text-halo-width": 3 },
    },
  ];
}
