"use strict";
// Times that go on by themselves, by the server's clock: <body data-now> says what it showed when the page came.
// data-since counts up and data-until down (Unix times); <time data-ago> tells how long ago it was.

const TICK_MS = 500;
const behind = Date.now() / 1000 - document.body.dataset.now;
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always" });
// As Babel's format_timedelta, which makes the words that the server sends.
const UNITS = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60],
  ["second", 1]];
const ENOUGH = 0.85; // of a unit

function lasted(seconds) {
  const two = (value) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60), rest = two(Math.floor(seconds % 60));
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}

function ago(seconds) { // until it is; of what is past, less than 0
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) / size >= ENOUGH) ?? UNITS.at(-1);
  const many = Math.max(1, Math.round(Math.abs(seconds) / size));
  return relative.format(seconds >= 1 ? many : -many, unit); // never "in 0 seconds"
}

function set(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function tick() {
  if (document.visibilityState !== "visible") return;
  const now = Date.now() / 1000 - behind;
  document.querySelectorAll("[data-since]").forEach((place) => {
    set(place, lasted(Math.max(0, now - place.dataset.since)));
  });
  document.querySelectorAll("[data-until]").forEach((place) => {
    const left = Math.max(0, Math.ceil(place.dataset.until - now));
    set(place, lasted(left));
    const waiting = place.closest("[data-wait]"); // a button that can be pressed then
    if (left === 0 && waiting) waiting.disabled = false;
  });
  document.querySelectorAll("[data-ago]").forEach((place) => {
    set(place, ago(Date.parse(place.dateTime) / 1000 - now));
  });
}

setInterval(tick, TICK_MS);
document.addEventListener("visibilitychange", tick);
document.addEventListener("htmx:afterSwap", tick);
