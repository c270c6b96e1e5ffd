// @ts-check
/**
 * The login page: an ordinary form, which the server answers with the page that was asked for, or with this one and
 * `?why=`. What the form needs of the server is its token.
 */
import { login as texts } from "./texts.js";

const asked = new URLSearchParams(location.search);

/** @param {string} id @param {string} text */
function say(id, text) {
  const element = /** @type {HTMLElement} */ (document.getElementById(id));
  element.textContent = text;
  element.hidden = false;
}

say("title", texts.title);
say("name-label", texts.name);
say("password-label", texts.password);
say("submit", texts.submit);
const why = texts.why[/** @type {keyof typeof texts.why} */ (asked.get("why") ?? "")];
if (why) say("why", why);

const form = /** @type {HTMLFormElement} */ (document.querySelector("form"));
const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
field("next").value = asked.get("next") ?? "";
try {
  field("csrf").value = (await (await fetch("login.json", { cache: "no-store" })).json()).csrf;
} catch {
  say("why", texts.why.away);
}
