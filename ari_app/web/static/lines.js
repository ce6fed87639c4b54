"use strict";
// Time left, counted down each second; a button that waits for it can be pressed at its end.

function shown(seconds) {
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60, rest = seconds % 60;
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

setInterval(() => {
  document.querySelectorAll("[data-left]").forEach((place) => {
    place.ends ??= performance.now() + 1000 * Number(place.dataset.left);
    const left = Math.max(0, Math.ceil((place.ends - performance.now()) / 1000));
    place.textContent = shown(left);
    const waiting = place.closest("[data-wait]");
    if (left === 0 && waiting) waiting.disabled = false;
  });
}, 1000);
