// SHA-256 and SHA-512 (FIPS 180-4), SHAKE (FIPS 202), and bytes.
"use strict";

const join = (...parts) => {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};
const utf8 = (text) => new TextEncoder().encode(text);
const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);
const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text) => {
  if (typeof text !== "string" || !/^([0-9a-f]{2})*$/i.test(text)) throw new Error("not hexadecimal");
  return Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
};
const base64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const bigEndian = (data) => data.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
const littleEndian = (data) => bigEndian(Uint8Array.from(data).reverse());
const u64 = (number) => {
  const data = new Uint8Array(8);
  new DataView(data.buffer).setBigUint64(0, BigInt(number));
  return data;
};

// The constants are the first bits of the fractional parts of roots of primes, as the standard says.
const primes = [];
for (let n = 2; primes.length < 80; n += 1) if (primes.every((prime) => n % prime)) primes.push(n);
const fraction64 = (number, power) => {
  const wanted = BigInt(number) << BigInt(64 * power);
  let low = 0n;
  let high = 1n << 72n;
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** BigInt(power) <= wanted) low = middle;
    else high = middle;
  }
  return low & ((1n << 64n) - 1n);
};
const CUBES = primes.map((prime) => fraction64(prime, 3));
const SQUARES = primes.slice(0, 8).map((prime) => fraction64(prime, 2));
const K32 = Uint32Array.from(CUBES.slice(0, 64), (value) => Number(value >> 32n));
const H32 = SQUARES.map((value) => Number(value >> 32n));

const padded = (data, block) => {
  const length = new Uint8Array(block / 8);
  new DataView(length.buffer).setBigUint64(length.length - 8, BigInt(data.length) * 8n);
  const rest = (data.length + 1 + length.length) % block;
  return join(data, [0x80], new Uint8Array(rest ? block - rest : 0), length);
};

const sha256 = (...parts) => {
  const data = padded(join(...parts), 64);
  const view = new DataView(data.buffer);
  const h = Uint32Array.from(H32);
  const w = new Uint32Array(64);
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  for (let start = 0; start < data.length; start += 64) {
    for (let t = 0; t < 16; t += 1) w[t] = view.getUint32(start + 4 * t);
    for (let t = 16; t < 64; t += 1) {
      const s0 = turn(w[t - 15], 7) ^ turn(w[t - 15], 18) ^ (w[t - 15] >>> 3);
      const s1 = turn(w[t - 2], 17) ^ turn(w[t - 2], 19) ^ (w[t - 2] >>> 10);
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    let [a, b, c, d, e, f, g, i] = h;
    for (let t = 0; t < 64; t += 1) {
      const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
      const one = (i + s1 + ((e & f) ^ (~e & g)) + K32[t] + w[t]) | 0;
      const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [i, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, i].forEach((value, at) => { h[at] += value; });
  }
  const out = new Uint8Array(32);
  h.forEach((value, at) => new DataView(out.buffer).setUint32(4 * at, value));
  return out;
};

const MASK = (1n << 64n) - 1n;
const sha512 = (...parts) => {
  const data = padded(join(...parts), 128);
  const view = new DataView(data.buffer);
  const h = [...SQUARES];
  const turn = (x, n) => ((x >> n) | (x << (64n - n))) & MASK;
  for (let start = 0; start < data.length; start += 128) {
    const w = [];
    for (let t = 0; t < 16; t += 1) w.push(view.getBigUint64(start + 8 * t));
    for (let t = 16; t < 80; t += 1) {
      const s0 = turn(w[t - 15], 1n) ^ turn(w[t - 15], 8n) ^ (w[t - 15] >> 7n);
      const s1 = turn(w[t - 2], 19n) ^ turn(w[t - 2], 61n) ^ (w[t - 2] >> 6n);
      w.push((w[t - 16] + s0 + w[t - 7] + s1) & MASK);
    }
    let [a, b, c, d, e, f, g, i] = h;
    for (let t = 0; t < 80; t += 1) {
      const s1 = turn(e, 14n) ^ turn(e, 18n) ^ turn(e, 41n);
      const one = i + s1 + ((e & f) ^ (~e & MASK & g)) + CUBES[t] + w[t];
      const s0 = turn(a, 28n) ^ turn(a, 34n) ^ turn(a, 39n);
      const two = s0 + ((a & b) ^ (a & c) ^ (b & c));
      [i, g, f, e, d, c, b, a] = [g, f, e, (d + one) & MASK, c, b, a, (one + two) & MASK];
    }
    [a, b, c, d, e, f, g, i].forEach((value, at) => { h[at] = (h[at] + value) & MASK; });
  }
  return join(...h.map(u64));
};

// Keccak-f[1600]: lanes as 64-bit numbers, x + 5y.
const ROUNDS = (() => {
  const constants = [];
  let register = 1;
  for (let round = 0; round < 24; round += 1) {
    let constant = 0n;
    for (let j = 0; j < 7; j += 1) {
      if (register & 1) constant |= 1n << BigInt((1 << j) - 1);
      register = (register << 1) ^ (register >> 7 ? 0x171 : 0);
    }
    constants.push(constant);
  }
  return constants;
})();
const keccak = (state) => {
  const turn = (x, n) => (n ? ((x << BigInt(n)) | (x >> BigInt(64 - n))) & MASK : x);
  for (const constant of ROUNDS) {
    const c = [0, 1, 2, 3, 4].map((x) => [0, 5, 10, 15, 20].reduce((v, y) => v ^ state[x + y], 0n));
    for (let at = 0; at < 25; at += 1) state[at] ^= c[(at + 4) % 5] ^ turn(c[(at + 1) % 5], 1);
    let [x, y, lane] = [1, 0, state[1]];
    for (let t = 0; t < 24; t += 1) {
      [x, y] = [y, (2 * x + 3 * y) % 5];
      const next = state[x + 5 * y];
      state[x + 5 * y] = turn(lane, (((t + 1) * (t + 2)) / 2) % 64);
      lane = next;
    }
    for (let row = 0; row < 25; row += 5) {
      const r = state.slice(row, row + 5);
      for (let at = 0; at < 5; at += 1) state[row + at] = r[at] ^ (~r[(at + 1) % 5] & MASK & r[(at + 2) % 5]);
    }
    state[0] ^= constant;
  }
};
const shake = (rate, data, size) => {
  const last = new Uint8Array(rate - (data.length % rate));
  last[0] = 0x1f;
  last[last.length - 1] |= 0x80;
  const whole = join(data, last);
  const state = new Array(25).fill(0n);
  const view = new DataView(whole.buffer);
  for (let start = 0; start < whole.length; start += rate) {
    for (let at = 0; at < rate / 8; at += 1) state[at] ^= view.getBigUint64(start + 8 * at, true);
    keccak(state);
  }
  const out = new Uint8Array(Math.ceil(size / rate) * rate);
  for (let start = 0; start < size; start += rate) {
    const block = new DataView(out.buffer, start);
    for (let at = 0; at < rate / 8; at += 1) block.setBigUint64(8 * at, state[at], true);
    keccak(state);
  }
  return out.slice(0, size);
};
const shake128 = (data, size) => shake(168, data, size);
const shake256 = (data, size) => shake(136, data, size);
