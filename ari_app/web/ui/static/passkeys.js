"use strict";
// A form with data-passkey asks a device (WebAuthn), and is sent with what it answers: "create" registers one, "get" signs in.

document.querySelectorAll("form[data-passkey]").forEach((form) => {
  const told = form.querySelector("[data-told]");
  const tell = (text) => { told.textContent = text; told.hidden = false; };
  form.hidden = false; // without script it could do nothing
  if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) {
    form.querySelector("button").disabled = true;
    return tell(form.dataset.cannot);
  }
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value) return; // a device has answered
    event.preventDefault();
    told.hidden = true;
    const options = JSON.parse(form.dataset.options);
    try {
      const answer = form.dataset.passkey === "create"
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
      form.elements.credential.value = JSON.stringify(answer.toJSON());
    } catch (error) {
      return tell(error.name === "InvalidStateError" ? form.dataset.known : form.dataset.failed);
    }
    form.requestSubmit(event.submitter);
  });
});
