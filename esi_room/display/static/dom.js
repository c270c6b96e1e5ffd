// @ts-check
/**
 * The few things that pages do to the document. A display is on for days: nodes are made once and used again, and
 * nothing is written that is there already.
 */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} [name] its classes
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, name = "", ...children) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...children);
  return node;
}

/** @param {string} id @returns {HTMLElement} */
export function find(id) {
  const node = document.getElementById(id);
  if (node === null) throw new Error(`the page has no #${id}`);
  return node;
}

/** @param {Element} node @param {string | null | undefined} text */
export function say(node, text) {
  const wanted = text ?? "";
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** A text with a formula in it: the 2 of SpO2 and CO2 stands lower. @param {Element} node @param {string} text */
export function sayFormula(node, text) {
  if (node.textContent === text) return;
  const parts = text.split("O2");
  const pieces = parts.flatMap((part, index) => (index ? ["O", make("sub", "", "2"), part] : [part]));
  node.replaceChildren(...pieces.filter((piece) => piece !== ""));
}

/** An attribute; null takes it away. @param {Element} node @param {string} name @param {string | null | undefined} value */
export function mark(node, name, value) {
  if (value === null || value === undefined) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** @param {HTMLElement} node @param {boolean} shown */
export function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

/**
 * As many children as there are items, each filled in; those that are not needed now are kept, hidden.
 * @template I
 * @param {HTMLElement} list
 * @param {readonly I[]} items
 * @param {() => HTMLElement} create
 * @param {(node: any, item: I, index: number) => void} fill
 */
export function fillList(list, items, create, fill) {
  while (list.children.length < items.length) list.append(create());
  [...list.children].forEach((node, index) => {
    const used = index < items.length;
    show(/** @type {HTMLElement} */ (node), used);
    if (used) fill(node, items[index], index);
  });
}
