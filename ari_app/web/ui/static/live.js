"use strict";
// Parts of a page that follow the news, and are then changed in place. data-live has the kinds of news that a part
// follows; with data-key, only those of that key (a line's number, a call's id).

const TOGETHER_MS = 250; // news that come so close make each part ask once

// The stream. It says "open" when it begins, and whenever this tab is looked at again: much may have changed by then.
const away = document.getElementById("away");
const wanted = new Set(["meters", "reload"]); // and what the parts follow that are there, or have been

function parts() {
  return [...document.querySelectorAll("[data-live]")];
}

function kinds(part) {
  return part.dataset.live.split(" ");
}

function hear({ state, kind, data }) {
  if (state) {
    document.documentElement.dataset.stream = state;
    away.hidden = state === "open";
    if (state === "open") ask(parts());
    else checkSession();
    return;
  }
  if (kind === "meters") move(data);
  ask(parts().filter((part) => kind === "reload" ||
    (kinds(part).includes(kind) && (part.dataset.key ?? data.key) === data.key)));
}

// What begins and ends the hearing of this tab.
let [show, hide] = [() => {}, () => {}];
function look() {
  parts().flatMap(kinds).forEach((kind) => wanted.add(kind));
  if (document.visibilityState === "visible") show();
  else hide();
}

function alone() {
  const stream = new LiveStream();
  [show, hide] = [() => stream.show(hear, wanted), () => stream.hide(hear)];
}

function together() {
  const worker = new SharedWorker(document.body.dataset.worker);
  worker.port.onmessage = ({ data }) => hear(data);
  worker.onerror = () => { alone(); look(); };
  [show, hide] = [() => worker.port.postMessage({ show: [...wanted] }), () => worker.port.postMessage({})];
}

if (document.body.dataset.worker) {
  try {
    together();
  } catch { // no such thing in this browser, or not allowed
    alone();
  }
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", () => hide());
  addEventListener("pageshow", look); // the first time, too
  document.addEventListener("htmx:afterSwap", () => {
    if (!parts().flatMap(kinds).every((kind) => wanted.has(kind))) look();
  });
}

function checkSession() {
  fetch("/alive").then((answer) => { if (answer.status === 401) signedOut(); }, () => {});
}

// Whoever is told first, the stream or a part that asks: the page is loaded anew, once, and leads to signing in.
function signedOut() {
  // What is on its way may be what has ended the session; to reload would be to lose its answer.
  if (leaving) return;
  if (anythingUnsaved()) {
    tellOf("signed-out");
    return;
  }
  leaving = true;
  location.reload();
}
document.body.addEventListener("htmx:beforeOnLoad", (event) => {
  if (event.detail.xhr.status !== 401) return;
  event.preventDefault();
  signedOut();
});
document.body.addEventListener("htmx:sendError", () => { away.hidden = false; });
document.body.addEventListener("htmx:afterOnLoad", () => {
  away.hidden = document.documentElement.dataset.stream !== "lost";
});

// Parts that have to ask; they do so at once, and then not again before TOGETHER_MS are over.
const due = new Set();
let resting = false;

function ask(parts) {
  parts.forEach((part) => due.add(part));
  if (resting || !due.size) return;
  resting = true;
  setTimeout(() => { resting = false; ask([]); }, TOGETHER_MS);
  const now = [...due].filter((part) => part.isConnected);
  due.clear();
  now.forEach((part) => htmx.trigger(part, "again"));
}

// Of the rows that a part has, only those that have changed are sent.
document.body.addEventListener("htmx:configRequest", ({ target, detail }) => {
  const have = target.matches("[data-live]") ? target.querySelectorAll("[data-version]") : [];
  if (have.length) detail.headers["X-Have"] = [...have].map((row) => row.dataset.version).join(" ");
});

// In place: a row that has not changed stays, and so does what somebody has typed, ticked, chosen or opened, and a
// field that was refused, with why: only the answer to its form has that.
Object.assign(Idiomorph.defaults.callbacks, {
  beforeNodeMorphed: (before, after) =>
    before.nodeType !== Node.ELEMENT_NODE || !("same" in after.dataset || edited(before) || before.matches(".wrong")),
  beforeAttributeUpdated: (name, element) => !(name === "open" && element.localName === "details"),
});

// Where what had the focus is no more, the keyboard goes on from its part.
let focused = null;
document.body.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
  focused = target.contains(document.activeElement) ? document.activeElement : null;
});
document.body.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
  if (!focused || focused.isConnected || !target.isConnected) return;
  target.tabIndex = -1;
  target.focus({ preventScroll: true });
});

// Meters: levels in dBFS.
const FLOOR_DBFS = -60;
function move(news) {
  document.querySelectorAll(`meter[data-meter="${CSS.escape(news.key)}"]`).forEach((meter) => {
    const level = news[meter.dataset.level];
    meter.value = typeof level === "number" ? Math.max(FLOOR_DBFS, level) : FLOOR_DBFS;
  });
}
