// Symbols: shape, letter and colour say the same thing, so that none is needed alone.
// Hues are those of Okabe and Ito, which people with colour blindness tell apart.

import { svg } from "./dom.js";
import { accuracyKnown } from "./state.js";
import { TIERS } from "./words.js";

export const HUES = {
  wearer: "#cc79a7",
  protected: "#56b4e9",
  other: "#b8c2cc",
  clear: "#009e73",
  pre_alert: "#f0e442",
  alert: "#e69f00",
  contact: "#d55e00",
};

const INK = "#10161c"; // on every one of the hues it has a contrast above 4.5

const TIER_SHAPES = {
  1: { points: "8,1 16,1 23,8 23,16 16,23 8,23 1,16 1,8", fill: "#d55e00", y: 17 },
  2: { points: "12,1 23.5,22 0.5,22", fill: "#e69f00", y: 19.5 },
  3: { points: "12,0.5 23.5,12 12,23.5 0.5,12", fill: "#f0e442", y: 16.8 },
  4: { points: "1,4 23,4 23,20 1,20", fill: "#b8c2cc", y: 16.8 },
};

export function tierMark(tier) {
  const { points, fill, y } = TIER_SHAPES[tier] ?? TIER_SHAPES[4];
  return svg(
    "svg",
    { viewBox: "-1 -1 26 26", class: "tier", role: "img", "aria-label": `Tier ${tier}, ${TIERS[tier] ?? ""}` },
    svg("polygon", { points, fill, class: "tier-shape" }),
    svg("text", { x: 12, y, "text-anchor": "middle", fill: INK }, String(tier)),
  );
}

export const SYMBOL_PX = 40; // a symbol's image, drawn at twice its size on screen

// The look of a device: wearer a square W, protected person a round P, anything else a grey
// hexagon. Stale: hollow and dashed. Unknown accuracy: a wide dotted ring and a question mark.
export function symbolName(device, { stale }) {
  const role = device.role ?? "other";
  return ["device", role, stale ? "stale" : "fresh", accuracyKnown(device) ? "sure" : "unsure"].join("-");
}

export function symbolImage(name, theme) {
  const [, role, age, accuracy] = name.split("-");
  const size = SYMBOL_PX * 2;
  const context = new OffscreenCanvas(size, size).getContext("2d");
  context.translate(size / 2, size / 2);
  if (accuracy === "unsure") unsureRing(context, theme);
  outline(context, role, 19);
  context.fillStyle = theme.ground;
  context.fill();
  context.globalAlpha = age === "stale" ? 0.3 : 1;
  context.fillStyle = HUES[role];
  context.fill();
  context.globalAlpha = 1;
  context.lineWidth = 4;
  context.strokeStyle = age === "stale" ? theme.ink : theme.rim;
  context.setLineDash(age === "stale" ? [8, 5] : []);
  context.stroke();
  context.fillStyle = age === "stale" ? theme.ink : INK;
  context.font = "bold 24px sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText({ wearer: "W", protected: "P" }[role] ?? "H", 0, 2);
  return context.getImageData(0, 0, size, size);
}

function unsureRing(context, theme) {
  context.beginPath();
  context.arc(0, 0, 34, 0, 2 * Math.PI);
  context.lineWidth = 4;
  context.strokeStyle = theme.ink;
  context.setLineDash([2, 8]);
  context.stroke();
  context.setLineDash([]);
}

function outline(context, role, r) {
  context.beginPath();
  if (role === "wearer") context.rect(-r, -r, 2 * r, 2 * r);
  else if (role === "protected") context.arc(0, 0, r + 2, 0, 2 * Math.PI);
  else {
    for (let corner = 0; corner < 6; corner += 1) {
      const turn = (corner * Math.PI) / 3;
      context.lineTo((r + 2) * Math.cos(turn), (r + 2) * Math.sin(turn));
    }
    context.closePath();
  }
}
