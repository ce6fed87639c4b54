"use strict";
// What the page does beyond htmx: it goes on by itself after the connection was lost, moves meters, copies code.

document.documentElement.classList.add("scripted");

const TOAST_MS = 6000;

function toast(text, kind) {
  const shown = document.createElement("p");
  shown.className = "toast " + kind;
  shown.textContent = text;
  document.getElementById("messages").append(shown);
}

// Messages go by themselves, wherever they came from; one that tells of a failure stays until it is clicked.
const messages = document.getElementById("messages");
function fade(element) {
  if (element.nodeType !== Node.ELEMENT_NODE || !element.classList.contains("toast")) return;
  element.addEventListener("click", () => element.remove());
  if (!element.classList.contains("failed")) setTimeout(() => element.remove(), TOAST_MS);
}
[...messages.children].forEach(fade);
new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach(fade)))
  .observe(messages, { childList: true });

// The connection.
const away = document.getElementById("away");
document.body.addEventListener("htmx:sseError", () => {
  away.hidden = false;
  fetch("/alive").then((answer) => { if (answer.status === 401) location.reload(); }, () => {});
});
document.body.addEventListener("htmx:sseOpen", () => { // the first time, too: the page may be older than the stream
  away.hidden = true;
  document.querySelectorAll('[hx-trigger*="sse:"]').forEach((part) => htmx.trigger(part, "again"));
});

// A part that has data-key is fetched again only for news of that key (a line's number, a call's id).
document.body.addEventListener("htmx:beforeRequest", (event) => {
  const key = event.target.dataset.key;
  const cause = event.detail.requestConfig.triggeringEvent;
  if (!key || !cause || !cause.type.startsWith("sse:") || cause.type === "sse:reload") return;
  if (JSON.parse(cause.detail.data).key !== key) event.preventDefault();
});

// Whatever could not be done is told.
document.body.addEventListener("htmx:responseError", (event) => toast(event.detail.xhr.responseText, "failed"));
document.body.addEventListener("htmx:sendError", () => { away.hidden = false; });

// Meters move with the news "meters".
const FLOOR_DBFS = -60;
function listen(source) {
  source.addEventListener("meters", (event) => {
    const news = JSON.parse(event.data);
    document.querySelectorAll(`meter[data-meter="${CSS.escape(news.key)}"]`).forEach((meter) => {
      const level = news[meter.dataset.level];
      meter.value = typeof level === "number" ? Math.max(FLOOR_DBFS, level) : FLOOR_DBFS;
    });
  });
}
document.body.addEventListener("htmx:sseOpen", (event) => {
  const source = event.detail.source;
  if (source.astergram) return;
  source.astergram = true;
  listen(source);
});

// How long a call has lasted goes on by itself: data-running has the seconds at the moment when it came.
const running = new WeakMap();
function clock(seconds) {
  const two = (value) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60), rest = two(Math.floor(seconds % 60));
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}
setInterval(() => document.querySelectorAll("[data-running]").forEach((shown) => {
  if (!running.has(shown)) running.set(shown, performance.now() - 1000 * shown.dataset.running);
  shown.textContent = clock((performance.now() - running.get(shown)) / 1000);
}), 500);

// Clicks and choices, wherever in the page.
document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]");
  if (!copy) return;
  const text = copy.parentElement.querySelector("code").textContent;
  const before = copy.textContent;
  const done = () => {
    copy.textContent = copy.dataset.copied;
    setTimeout(() => { copy.textContent = before; }, 1500);
  };
  if (navigator.clipboard) {
    navigator.clipboard.writeText(text).then(done);
  } else { // a page that came by plain HTTP from another machine
    const selection = getSelection();
    selection.selectAllChildren(copy.parentElement.querySelector("code"));
    if (document.execCommand("copy")) done();
  }
});
document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-submit-on-change]");
  if (form) form.requestSubmit();
});
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
