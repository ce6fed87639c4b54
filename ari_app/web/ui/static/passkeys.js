"use strict";
// A form with data-passkey asks a device (WebAuthn), and is sent with what it answers: "create" registers one, "get" signs in.
// One with a field `confirmation` asks it, too, where no code is typed in: that it is still they.

{ // of its own: scripts of a page share their names
  const canAsk = Boolean(window.PublicKeyCredential?.parseCreationOptionsFromJSON);

  const tell = (form, text) => {
    const told = form.querySelector("[data-told]");
    told.textContent = text;
    told.hidden = !text;
  };

  const ask = async (kind, options) => {
    const answer = kind === "create"
      ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
      : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
    return JSON.stringify(answer.toJSON());
  };

  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    form.hidden = false; // without script it could do nothing
    if (canAsk) return;
    form.querySelector("button").disabled = true;
    tell(form, form.dataset.cannot);
  });

  // What a form still needs of a device: where the answer goes, what is asked, and what is said where there is none.
  const questions = (form) => {
    const { credential, confirmation, code } = form.elements;
    const asked = [];
    if (confirmation && !confirmation.value && !code.value) asked.push([confirmation, "get", confirmation.dataset]);
    if (form.dataset.passkey && !credential.value) asked.push([credential, form.dataset.passkey, form.dataset]);
    return asked;
  };

  document.querySelectorAll("form").forEach((form) => {
    if (!form.dataset.passkey && !form.elements.confirmation) return;
    form.addEventListener("submit", async (event) => {
      const asked = questions(form);
      if (!asked.length) return; // a device has answered
      event.preventDefault();
      tell(form, "");
      for (const [field, kind, words] of asked) {
        if (!canAsk) return tell(form, words.cannot);
        try {
          field.value = await ask(kind, JSON.parse(words.options));
        } catch (error) {
          return tell(form, error.name === "InvalidStateError" && words.known ? words.known : words.failed);
        }
      }
      form.requestSubmit(event.submitter);
    });
  });
}
