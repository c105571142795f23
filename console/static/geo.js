// The little geometry that drawing needs. Deciding is the engine's business, on the server.

const EARTH_M = 6371008.8; // mean radius; an error of 0.5 % in a drawn ring is not visible
const CORNERS = 72;
const RADIANS = Math.PI / 180;

// A ring of [lon, lat] around a place, on the sphere.
export function circle(lat, lon, radiusM) {
  const arc = radiusM / EARTH_M;
  const [sinLat, cosLat] = [Math.sin(lat * RADIANS), Math.cos(lat * RADIANS)];
  return Array.from({ length: CORNERS + 1 }, (_, corner) => {
    const bearing = (2 * Math.PI * (corner % CORNERS)) / CORNERS;
    const sin = sinLat * Math.cos(arc) + cosLat * Math.sin(arc) * Math.cos(bearing);
    const east = Math.atan2(Math.sin(bearing) * Math.sin(arc) * cosLat, Math.cos(arc) - sinLat * sin);
    return [lon + east / RADIANS, Math.asin(sin) / RADIANS];
  });
}

export const feature = (type, coordinates, properties) => ({
  type: "Feature", geometry: { type, coordinates }, properties,
});

export const collection = (features) => ({ type: "FeatureCollection", features });

// [[west, south], [east, north]] of all places, or null. `reach` in metres is added around.
export function bounds(places, reachM = 0) {
  if (places.length === 0) return null;
  const box = [[Infinity, Infinity], [-Infinity, -Infinity]];
  for (const [lon, lat] of places) {
    box[0] = [Math.min(box[0][0], lon), Math.min(box[0][1], lat)];
    box[1] = [Math.max(box[1][0], lon), Math.max(box[1][1], lat)];
  }
  const up = reachM / EARTH_M / RADIANS;
  const side = up / Math.max(0.1, Math.cos(((box[0][1] + box[1][1]) / 2) * RADIANS));
  return [[box[0][0] - side, box[0][1] - up], [box[1][0] + side, box[1][1] + up]];
}

// All positions of a GeoJSON geometry, whatever its kind.
export function positions(geometry) {
  const found = [];
  const walk = (part) => {
    if (typeof part[0] === "number") found.push(part);
    else part.forEach(walk);
  };
  walk(geometry.coordinates);
  return found;
}
