// The picture of a course of conduct: a lane for each kind of act, time from left to right.

import { svg } from "./dom.js";

const WIDTH = 900;
const LEFT = 92;
const RIGHT = 16;
const TOP = 8;
const LANE = 26;
const AXIS = 26;
const DAY_US = 86400e6;
const LEAST = 5; // an act of a minute in a month would be no wider than a hair
const MOST_TICKS = 10;

const ORDER = ["approach", "loitering", "following", "probing", "tampering"];

export const lanesOf = (acts) => ORDER.filter((kind) => acts.some((act) => act.kind === kind));

export function drawTimeline(pattern, lanes, when) {
  const from = pattern.began_us - DAY_US / 4;
  const to = Math.max(pattern.last_us + DAY_US / 4, from + DAY_US);
  const x = (us) => LEFT + ((us - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
  const bottom = TOP + lanes.length * LANE;
  const picture = svg("svg", {
    class: "timeline", viewBox: `0 0 ${WIDTH} ${bottom + AXIS}`, role: "img",
    "aria-label": `Timeline: ${lanes.map((kind) => `${pattern.acts.filter((act) => act.kind === kind).length} ${kind}`).join(", ")}`,
  });
  for (const { kind, from_us: first, to_us: last } of pattern.reasons) {
    const lane = lanes.indexOf(kind);
    picture.append(svg("rect", {
      class: "window", x: x(first) - 4, width: x(last) - x(first) + 8,
      y: lane < 0 ? TOP : TOP + lane * LANE, height: lane < 0 ? bottom - TOP : LANE,
    }));
  }
  picture.append(...ticks(from, to, x, bottom));
  lanes.forEach((kind, lane) => {
    const middle = TOP + (lane + 0.5) * LANE;
    picture.append(
      svg("text", { class: "lane-name", x: LEFT - 8, y: middle + 4, "text-anchor": "end" }, kind),
      svg("line", { class: "lane-line", x1: LEFT, x2: WIDTH - RIGHT, y1: middle, y2: middle }),
    );
    for (const act of pattern.acts.filter((found) => found.kind === kind)) picture.append(mark(act, x, middle, to, when));
  });
  return picture;
}

function mark(act, x, middle, to, when) {
  const width = Math.max(LEAST, x(act.ended_us ?? to) - x(act.began_us));
  return svg("rect", {
    class: act.explained ? "act explained" : `act ${act.kind}`,
    x: x(act.began_us) - (width === LEAST ? LEAST / 2 : 0), width, y: middle - 8, height: 16, rx: 2,
  }, svg("title", {}, `${act.kind}, ${when(act.began_us)}`));
}

// At midnight of where the operator is, so many days apart that their names do not meet.
function ticks(from, to, x, bottom) {
  const days = Math.ceil((to - from) / DAY_US / MOST_TICKS);
  const midnight = new Date(from / 1000);
  midnight.setHours(24, 0, 0, 0);
  const made = [];
  while (midnight.getTime() * 1000 < to) {
    const at = x(midnight.getTime() * 1000);
    made.push(
      svg("line", { class: "tick", x1: at, x2: at, y1: TOP, y2: bottom }),
      svg("text", { class: "tick-name", x: at, y: bottom + 17, "text-anchor": "middle" },
        midnight.toLocaleDateString(undefined, { day: "numeric", month: "short" })),
    );
    midnight.setDate(midnight.getDate() + days);
  }
  return made;
}
