// From what the page knows to what the map draws. No map library in here.

import { circle, collection, feature } from "./geo.js";
import { symbolName } from "./marks.js";
import { accuracyKnown, fixAgeSeconds, hasPlace, isStale, state } from "./state.js";
import { distanceText, roughly } from "./words.js";

const RINGS = ["contact", "alert", "pre_alert"];

const place = (device) => [device.lon, device.lat];

function deviceLabel(device, stale) {
  const name = device.name || device.person || device.id;
  const doubts = [
    stale ? `seen ${roughly(fixAgeSeconds(device))} ago` : "",
    accuracyKnown(device) ? "" : "accuracy unknown",
  ].filter(Boolean);
  return [name, ...doubts].join("\n");
}

export function deviceFeatures() {
  return collection([...state.devices.values()].filter(hasPlace).map((device) => {
    const stale = isStale(device);
    return feature("Point", place(device), {
      id: device.id, symbol: symbolName(device, { stale }), label: deviceLabel(device, stale),
    });
  }));
}

export function accuracyFeatures() {
  const known = [...state.devices.values()].filter((device) => hasPlace(device) && accuracyKnown(device));
  return collection(known.map((device) => feature(
    "Polygon", [circle(device.lat, device.lon, device.accuracy_m)],
    { role: device.role ?? "other", stale: isStale(device) },
  )));
}

// One set of rings per protected person and radius, at the worst level of the watches it serves.
export function ringFeatures() {
  const rings = new Map();
  for (const watch of state.watches.values()) {
    const device = state.devices.get(watch.handset);
    if (watch.condition !== "proximity" || !hasPlace(device)) continue;
    for (const ring of RINGS) {
      const radiusM = watch[`${ring}_m`];
      if (!radiusM) continue;
      const key = `${device.id} ${ring} ${radiusM}`;
      const active = watch.level !== "clear" || rings.get(key)?.properties.active === true;
      rings.set(key, feature("LineString", circle(device.lat, device.lon, radiusM), { ring, active }));
    }
  }
  return collection([...rings.values()]);
}

export function zoneFeatures() {
  return collection(state.zones.map((zone) => ({
    type: "Feature",
    geometry: zone.geometry,
    properties: {
      key: zone.key, name: zone.name, kind: zone.kind,
      breached: (state.watches.get(zone.key)?.level ?? zone.level) !== "clear",
    },
  })));
}

// A line between the two of every pair that is not clear.
export function pairFeatures() {
  const lines = [];
  for (const watch of state.watches.values()) {
    const [tag, handset] = [state.devices.get(watch.tag), state.devices.get(watch.handset)];
    if (watch.level === "clear" || !hasPlace(tag) || !hasPlace(handset)) continue;
    lines.push(feature("LineString", [place(tag), place(handset)], {
      level: watch.level,
      label: watch.level === "unknown" ? "not certain" : distanceText(watch.condition, watch.distance_m),
    }));
  }
  return collection(lines);
}

// What an alert is about: places of those concerned, and the reach of the widest ring in metres.
export function concerns(alert) {
  const watch = state.watches.get(alert.watch);
  const ids = watch ? [watch.tag, watch.handset] : [alert.device];
  const devices = ids.map((id) => state.devices.get(id)).filter(hasPlace);
  const people = [...state.devices.values()].filter((device) => hasPlace(device)
    && device.person && [alert.wearer, alert.protected].includes(device.person));
  return {
    places: (devices.length > 0 ? devices : people).map(place),
    reachM: watch?.alert_m ?? 150,
    zone: state.zones.find((zone) => zone.key === alert.watch) ?? null,
  };
}
