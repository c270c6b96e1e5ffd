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
 * Let `region` show `children`. What is the same stays as it is, node by node: a button that is replaced under a finger
 * does not feel it, and an alert that is written anew is read out anew.
 * @param {Element} region
 * @param {...Child} children
 */
export function show(region, ...children) {
  const key = document.activeElement?.closest("[data-key]")?.getAttribute("data-key");
  const had = key && region.contains(document.activeElement);
  settle(region, children.filter(isThere).map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  if (had && document.activeElement === document.body) focusOn(key);
}

/** @param {string} key */
export function focusOn(key) {
  /** @type {HTMLElement | null} */ (document.querySelector(`[data-key="${CSS.escape(key)}"]`))?.focus();
}

/** What has listeners of its own, made for what it says: it is kept whole or replaced whole. */
const WHOLE = new Set(["BUTTON", "FORM", "INPUT", "SELECT", "TEXTAREA"]);

/**
 * @param {Element} parent
 * @param {Node[]} wanted
 */
function settle(parent, wanted) {
  const keyed = new Map([...parent.children].filter(keyOf).map((child) => [keyOf(child), child]));
  let next = parent.firstChild;
  for (const want of wanted) {
    const is = keyOf(want) ? (keyed.get(keyOf(want)) ?? null) : next && !keyOf(next) ? next : null;
    const stays = is !== null && fits(is, want);
    if (stays && is === next) next = next.nextSibling;
    else parent.insertBefore(stays ? is : want, next);
    if (is !== null && !stays) {
      if (is === next) next = next.nextSibling;
      /** @type {ChildNode} */ (is).remove();
    }
  }
  while (next) {
    const after = next.nextSibling;
    next.remove();
    next = after;
  }
}

/**
 * Whether `is` can stay for `want`, and make it so.
 * @param {Node} is
 * @param {Node} want
 */
function fits(is, want) {
  if (is.isEqualNode(want)) return true;
  if (!(is instanceof Element && want instanceof Element) || is.tagName !== want.tagName || WHOLE.has(is.tagName)) return false;
  const names = new Set([...is.getAttributeNames(), ...want.getAttributeNames()]);
  names.delete("open"); // of `details`: who opened it closes it
  for (const name of names) {
    const value = want.getAttribute(name);
    if (value === null) is.removeAttribute(name);
    else if (is.getAttribute(name) !== value) is.setAttribute(name, value);
  }
  settle(is, [...want.childNodes]);
  return true;
}

/** @param {Node} node */
function keyOf(node) {
  return node instanceof Element ? node.getAttribute("data-key") : null;
}
