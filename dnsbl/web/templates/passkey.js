// Passkeys (WebAuthn). A form with data-passkey has what the browser is asked, as JSON in which bytes are base64url; it
// makes or uses a passkey when its button is pressed, puts the answer into its field `credential`, and is sent. Without
// this script its button stays hidden. No text for people is here; it stands in data-busy and data-failed.

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (window.PublicKeyCredential) prepare(form);
}

function prepare(form) {
  const status = form.querySelector("[role=status]");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value) return;
    event.preventDefault();
    status.textContent = status.dataset.busy;
    try {
      const asked = JSON.parse(form.dataset.passkey);
      const answer = form.dataset.kind === "create" ? await create(asked) : await get(asked);
      form.elements.credential.value = JSON.stringify(answer);
      form.requestSubmit(event.submitter);
    } catch {
      status.textContent = status.dataset.failed;
    }
  });
  addEventListener("pageshow", () => {
    form.elements.credential.value = "";
    status.textContent = "";
  });
}

async function create(asked) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...asked,
      challenge: bytes(asked.challenge),
      user: { ...asked.user, id: bytes(asked.user.id) },
      excludeCredentials: named(asked.excludeCredentials),
    },
  });
  const { clientDataJSON, attestationObject } = made.response;
  return whole(made, { clientDataJSON: text(clientDataJSON), attestationObject: text(attestationObject) });
}

async function get(asked) {
  const signed = await navigator.credentials.get({
    publicKey: { ...asked, challenge: bytes(asked.challenge), allowCredentials: named(asked.allowCredentials) },
  });
  const { clientDataJSON, authenticatorData, signature } = signed.response;
  return whole(signed, {
    clientDataJSON: text(clientDataJSON),
    authenticatorData: text(authenticatorData),
    signature: text(signature),
  });
}

function whole(credential, response) {
  const rawId = text(credential.rawId);
  return { id: rawId, rawId, type: credential.type, response };
}

function named(credentials) {
  return (credentials || []).map((each) => ({ ...each, id: bytes(each.id) }));
}

function bytes(base64url) {
  return Uint8Array.from(atob(base64url.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
