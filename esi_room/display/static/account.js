// @ts-check
/**
 * Who is logged in, and the way out, where a page has a place for it: `<div id="account"></div>`. Empty where nobody
 * logs in.
 */
import { configuration, leave } from "./config.js";
import { login as texts } from "./texts.js";

const place = document.getElementById("account");
const { user, csrf, pages } = await configuration();
if (place && user !== null && pages.logout) {
  const form = document.createElement("form");
  form.method = "post";
  form.action = pages.logout;
  form.addEventListener("submit", leave);
  const token = document.createElement("input");
  token.type = "hidden";
  token.name = "csrf";
  token.value = csrf;
  const button = document.createElement("button");
  button.textContent = texts.leave;
  form.append(`${user} `, token, button);
  place.replaceChildren(form);
}
