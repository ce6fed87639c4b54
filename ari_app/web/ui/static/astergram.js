"use strict";
// Messages, the menu, and what is clicked or chosen anywhere in the page.

document.documentElement.classList.add("scripted");

const TOAST_MS = 6000;

function toast(text, kind) {
  const shown = document.createElement("p");
  shown.className = "toast " + kind;
  shown.textContent = text;
  document.getElementById("messages").append(shown);
}

// Tell what the page has words for: a template told-NAME.
function tellOf(name) {
  const shown = document.getElementById("told-" + name).content.cloneNode(true);
  document.querySelectorAll(`[data-told="${name}"]`).forEach((before) => before.remove());
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

// Whatever could not be done is told.
document.body.addEventListener("htmx:responseError", (event) => toast(event.detail.xhr.responseText, "failed"));

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

// The menu of a narrow window.
const menu = document.getElementById("menu-button");
function unfold(open) {
  menu.setAttribute("aria-expanded", String(open));
}
menu?.addEventListener("click", () => unfold(menu.getAttribute("aria-expanded") !== "true"));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || menu?.getAttribute("aria-expanded") !== "true") return;
  unfold(false);
  menu.focus();
});
