// Single keys on the page of a removal. Whatever has data-key is pressed by that key: a link is followed, a usual answer
// is put into the text, and a button that decides (data-sure) asks first. Keys do nothing while somebody types, with
// Ctrl, Alt or Meta, while held down, or when they are switched off, which this browser remembers (WCAG 2.1.4). No text
// for people is here; it stands in the page.

const KEYS = "dnsbl-keys"; // what is remembered: "off"

const form = document.querySelector("form.decide");
const answer = document.getElementById("answer");
const heard = document.getElementById("heard");
const on = document.getElementById("keys-on");
const sure = document.getElementById("sure");
const help = document.getElementById("help");
const keyed = new Map([...document.querySelectorAll("[data-key]")].map((each) => [each.dataset.key, each]));
let asked = null; // the button that the open question is about
let filled = ""; // the usual answer that was put in last

document.getElementById("keys").hidden = false;
on.checked = remembered() !== "off";
on.addEventListener("change", () => {
  remember(on.checked ? "on" : "off");
  hint();
});
hint();

// A usual answer goes into the text at once, where it can be changed; so its number is not sent beside it.
for (const radio of form.querySelectorAll("[name=canned]")) {
  radio.name = "usual";
  radio.addEventListener("change", () => put(radio.nextElementSibling.querySelector("span").textContent));
}

form.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button?.dataset.needs && !answer.value.trim()) {
    event.preventDefault();
    heard.textContent = button.dataset.lacks;
    answer.focus();
  }
});

sure.addEventListener("close", () => {
  if (sure.open) return; // asked anew, before this was told of
  const button = asked;
  asked = null;
  if (sure.returnValue === "yes" && button) form.requestSubmit(button);
  else button?.focus();
});

addEventListener("keydown", (event) => {
  if (!on.checked || event.repeat || event.isComposing || event.defaultPrevented) return;
  if (event.ctrlKey || event.altKey || event.metaKey || types(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const found = keyed.get(event.key);
  if (event.key === "?") help.showModal();
  else if (found) press(found);
  else return;
  event.preventDefault();
});

function press(found) {
  if (found.dataset.sure) ask(found);
  else if (found.type === "radio") choose(found);
  else found.click();
}

function ask(button) {
  heard.textContent = "";
  if (button.dataset.needs && !answer.value.trim()) {
    heard.textContent = button.dataset.lacks;
    answer.focus();
    return;
  }
  asked = button;
  sure.returnValue = "no";
  document.getElementById("sure-what").textContent = button.dataset.sure;
  sure.showModal();
}

function choose(radio) {
  radio.checked = true;
  radio.dispatchEvent(new Event("change", { bubbles: true }));
}

// In place of the usual answer that is there unchanged; behind whatever somebody wrote.
function put(text) {
  const written = answer.value.replace(filled, "").trim();
  answer.value = written ? `${written}\n\n${text}` : text;
  filled = text;
  heard.textContent = text;
}

function types(where) {
  if (where.isContentEditable || where.matches("textarea, select")) return true;
  return where.matches("input") && !["checkbox", "radio", "button", "submit"].includes(where.type);
}

function hint() {
  for (const each of document.querySelectorAll("kbd[hidden], kbd[data-hint]")) {
    each.dataset.hint = "";
    each.hidden = !on.checked;
  }
}

function remembered() {
  try {
    return localStorage.getItem(KEYS);
  } catch {
    return null; // a browser that keeps nothing
  }
}

function remember(value) {
  try {
    localStorage.setItem(KEYS, value);
  } catch {
    // then it is for this page only
  }
}
