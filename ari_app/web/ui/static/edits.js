"use strict";
// What somebody has typed is not lost: not by leaving the page, nor by saving while the program restarts or after the
// session has ended. A form where nothing is lost has data-nothing-to-lose.

const ANSWER_MS = 5000; // the program answers within that, or is away
const NO_EDIT = new Set(["password", "hidden", "submit", "button", "search"]);
const sent = new WeakSet(); // forms on their way; typing on makes them unsaved again
const asking = new WeakSet(), sure = new WeakSet();
let leaving = false; // the next page is on its way: the answer to a form, or this one anew

// Whether a control has another value than the one that it came with.
function edited(control) {
  switch (control.localName) {
    case "input":
      if (control.type === "file") return control.files.length > 0;
      return control.type === "checkbox" || control.type === "radio" ?
        control.checked !== control.defaultChecked : control.value !== control.defaultValue;
    case "textarea":
      return control.value !== control.defaultValue;
    case "select": {
      const options = [...control.options];
      const came = control.multiple || options.some((option) => option.defaultSelected) ?
        options.map((option) => option.defaultSelected) : options.map((_, place) => place === 0);
      return options.some((option, place) => option.selected !== came[place]);
    }
    default:
      return false;
  }
}

function unsaved(form) {
  const controls = [...form.elements].filter((control) => !NO_EDIT.has(control.type));
  return controls.some((control) => edited(control) || control.matches(".wrong *")); // what was refused is not kept yet
}

function anythingUnsaved() {
  const forms = document.querySelectorAll("main form[method=post]:not([data-nothing-to-lose])");
  return [...forms].some((form) => !sent.has(form) && unsaved(form));
}

addEventListener("beforeunload", (event) => { if (anythingUnsaved()) event.preventDefault(); });
addEventListener("pageshow", () => { leaving = false; }); // somebody has come back
document.addEventListener("input", (event) => { sent.delete(event.target.form); });

// Before anything is sent the program is asked whether it is there, and who this is: the page may be older than the
// session.
document.addEventListener("submit", async (event) => {
  const form = event.target, { submitter } = event;
  if (sure.delete(form)) {
    sent.add(form);
    leaving = true;
    return;
  }
  if (event.defaultPrevented || form.getAttribute("method") !== "post" || form.hasAttribute("hx-post")) return;
  if (!document.body.dataset.worker) return; // nobody has signed in
  event.preventDefault();
  if (asking.has(form) || (form.dataset.confirm && !confirm(form.dataset.confirm))) return;
  asking.add(form);
  const refused = await obstacle();
  asking.delete(form);
  if (refused) {
    tellOf(refused);
    return;
  }
  sure.add(form);
  form.requestSubmit(submitter);
});

// What keeps something from being sent now, if anything.
async function obstacle() {
  let answer;
  try {
    answer = await fetch("/alive", { signal: AbortSignal.timeout(ANSWER_MS) });
  } catch {
    return "no-answer";
  }
  if (!answer.ok) return answer.status === 401 ? "signed-out" : "";
  const token = answer.headers.get("X-CSRF-Token");
  document.querySelectorAll("input[name=csrf]").forEach((field) => { field.value = token; });
  document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRF-Token": token }));
  return "";
}
