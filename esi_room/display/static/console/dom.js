// @ts-check
/**
 * Elements out of plain objects. Whatever is text stays text: nothing here is ever read as HTML.
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * `h("button", {class: "tile", "aria-pressed": "true", onclick: …}, "Record")`. A property that is null, undefined or
 * false is left out; true is an attribute without a value.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") /** @type {any} */ (element).value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter(isThere).map((child) => (typeof child === "number" ? String(child) : child)));
  return element;
}

/** @param {Child} child @returns {child is Node | string | number} */
function isThere(child) {
  return child !== null && child !== undefined && child !== false && child !== "";
}

/**
 * Show `children` in `region`, and leave the keyboard's focus on what has the same `data-key` as before.
 * @param {Element} region
 * @param {...Child} children
 */
export function show(region, ...children) {
  const active = region.contains(document.activeElement) ? document.activeElement : null;
  const key = active?.closest("[data-key]")?.getAttribute("data-key");
  const open = [...region.querySelectorAll("details[open][data-key]")].map((each) => each.getAttribute("data-key"));
  region.replaceChildren(.../** @type {(Node | string)[]} */ (children.filter(isThere)));
  for (const details of region.querySelectorAll("details[data-key]")) {
    if (open.includes(details.getAttribute("data-key"))) /** @type {HTMLDetailsElement} */ (details).open = true;
  }
  if (key) /** @type {HTMLElement | null} */ (region.querySelector(`[data-key="${CSS.escape(key)}"]`))?.focus();
}
