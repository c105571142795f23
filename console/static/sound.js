// A tone that repeats while a critical or high alert waits, or while the page is blind. Browsers
// play sound only after a gesture, so it is armed by its button, which always shows whether it is.

import { byId, onPress, setText } from "./dom.js";
import { lanes, state } from "./state.js";

const REPEAT_MS = 8000;
const TONES_HZ = { 1: [880, 660, 880], 2: [660, 520] };
const BLIND_HZ = [330, 330, 330]; // this page sees nothing: silence would be taken for calm

let context = null;
let lastAt = 0;
let lastTier = Infinity;

export function startSound() {
  const button = byId("sound");
  onPress(button, () => {
    if (context) context.close();
    context = context ? null : new AudioContext();
    setText(button, context ? "Sound on" : "Sound off");
    button.setAttribute("aria-pressed", String(Boolean(context)));
    if (context) play([660]);
  });
  setInterval(check, 500);
}

function check() {
  const tier = lanes().fresh[0]?.tier ?? Infinity;
  const worse = tier < lastTier;
  lastTier = tier;
  const blind = state.feed === "lost" || state.feed === "signed-out";
  const tones = blind ? BLIND_HZ : TONES_HZ[tier];
  if (!context || !tones) return;
  if (worse || Date.now() - lastAt > REPEAT_MS) play(tones);
}

function play(tones) {
  lastAt = Date.now();
  tones.forEach((hz, index) => {
    const from = context.currentTime + index * 0.18;
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = hz;
    volume.gain.setValueAtTime(0.12, from);
    volume.gain.exponentialRampToValueAtTime(0.001, from + 0.16);
    tone.connect(volume).connect(context.destination);
    tone.start(from);
    tone.stop(from + 0.17);
  });
}
