// What the symbols on the map mean, drawn by the code that draws them.

import { byId, el, svg } from "./dom.js";
import { HUES, tierMark } from "./marks.js";
import { TIERS } from "./words.js";

const line = (stroke, dash = "") => svg("svg", { viewBox: "0 0 26 16", "aria-hidden": "true" },
  svg("line", { x1: 1, x2: 25, y1: 8, y2: 8, stroke, "stroke-width": 3, "stroke-dasharray": dash }));

const symbol = (shape, letter, attributes = {}) => {
  const marks = { stroke: "currentColor", "stroke-width": 1.5, ...attributes };
  const outline = shape === "W"
    ? svg("rect", { x: 6, y: 1.5, width: 13, height: 13, ...marks })
    : svg("circle", { cx: 12.5, cy: 8, r: 7, ...marks });
  const ink = attributes.fill === "none" ? "currentColor" : "#10161c";
  return svg("svg", { viewBox: "0 0 26 16", "aria-hidden": "true" }, outline,
    svg("text", { x: 12.5, y: 11.6, "text-anchor": "middle", "font-size": 10, "font-weight": 700, fill: ink }, letter));
};

const area = (fill) => svg("svg", { viewBox: "0 0 26 16", "aria-hidden": "true" },
  svg("rect", { x: 3, y: 2, width: 20, height: 12, fill, "fill-opacity": 0.3, stroke: fill, "stroke-width": 2 }));

export function startLegend() {
  const rows = [
    [symbol("W", "W", { fill: HUES.wearer }), "wearer"],
    [symbol("P", "P", { fill: HUES.protected }), "protected person"],
    [symbol("P", "P", { fill: "none", "stroke-dasharray": "3 2" }), "stale: last known place"],
    [area(HUES.protected), "accuracy (68 %)"],
    [line(HUES.contact), "contact ring"],
    [line(HUES.alert), "alert ring"],
    [line(HUES.pre_alert, "5 3"), "outer ring"],
    [area(HUES.contact), "exclusion zone"],
    [area(HUES.clear), "inclusion zone"],
  ];
  for (const [tier, word] of Object.entries(TIERS)) rows.push([tierMark(tier), `tier ${tier}: ${word}`]);
  const items = rows.map(([mark, text]) => el("li", {}, mark, text));
  byId("legend").append(el("details", {}, el("summary", {}, "Legend"), el("ul", {}, ...items)));
}
