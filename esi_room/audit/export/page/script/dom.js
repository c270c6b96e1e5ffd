// @ts-check
/** Elements, made of text and elements: nothing here reads markup, so a note of the record stays what it is. */

/** @param {string} name @param {Record<string, string>} attributes @param {(Node | string)[]} inside */
export function make(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

/** @param {string} name @param {Record<string, string | number>} attributes */
export function draw(name, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/** A button that a screen reader can name. @param {string} label @param {string} sign @param {() => void} press */
export function button(label, sign, press) {
  const made = make("button", { type: "button", "aria-label": label, title: label }, sign);
  made.addEventListener("click", press);
  return made;
}
