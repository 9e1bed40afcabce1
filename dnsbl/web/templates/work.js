// Proof of work for the forms that have guard.html: before such a form is sent, a challenge is fetched, solved with
// WebCrypto, and put into its field `altcha` (altcha, protocol version 2). Whatever fails, the form is sent as it is:
// the server then asks for some patience instead. No text for people is here; it stands in data-busy.
//
// A state follows the other: idle -> working -> ready -> sent. Coming back to the page begins anew: no sum is good twice.

const LANES = 4; // tries under way at once: the browser's threads are kept busy, and the page stays awake
const NONE = "none"; // what is sent where there is no solution

for (const status of document.querySelectorAll("[data-work]")) guard(status.closest("form"), status);

function guard(form, status) {
  const field = form.elements.namedItem("altcha");
  const progress = document.createElement("progress");
  let state = "idle";

  addEventListener("pageshow", () => {
    state = "idle";
    field.value = "";
    status.textContent = "";
  });

  form.addEventListener("submit", async (event) => {
    if (state === "ready") {
      state = "sent";
      return;
    }
    event.preventDefault();
    if (state !== "idle") return; // pressed twice
    state = "working";
    status.textContent = status.dataset.busy;
    progress.setAttribute("aria-label", status.dataset.busy);
    status.append(" ", progress);
    const pressed = event.submitter;
    field.value = await solved(status.dataset.work, progress).catch(() => NONE);
    state = "ready";
    form.requestSubmit(pressed);
  });
}

// The payload for a new challenge: base64 of the challenge as it came, and its solution.
async function solved(address, progress) {
  const answer = await fetch(address, { credentials: "omit" });
  if (!answer.ok) throw new Error(`no challenge: ${answer.status}`);
  const challenge = await answer.json();
  const solution = await search(challenge.parameters, progress);
  return btoa(JSON.stringify({ challenge, solution }));
}

// The first counter whose key begins as asked. Lanes take one counter after another; the first to find it ends all.
async function search({ cost, data, keyLength, keyPrefix, nonce, salt }, progress) {
  const began = performance.now();
  let next = 0;
  let found = null;
  progress.max = data.most;
  async function lane() {
    while (found === null && next < data.most) {
      const counter = next++;
      const derivedKey = hex(await derive(bytes(nonce), bytes(salt), counter, cost, keyLength));
      if (derivedKey.startsWith(keyPrefix)) found = { counter, derivedKey, time: Math.round(performance.now() - began) };
      progress.value = next;
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane));
  if (found === null) throw new Error("no solution");
  return found;
}

// PBKDF2 with SHA-256; the password is the nonce and the counter, 32 bits, the high byte first.
async function derive(nonce, salt, counter, iterations, length) {
  const password = new Uint8Array(nonce.length + 4);
  password.set(nonce);
  new DataView(password.buffer).setUint32(nonce.length, counter);
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  const bits = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, length * 8);
  return new Uint8Array(bits);
}

function bytes(text) {
  return Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
}

function hex(array) {
  return Array.from(array, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
