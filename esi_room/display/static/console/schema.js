// @ts-check
/**
 * A command's JSON Schema as a form: what can be filled in, in which order, between which limits. Pure functions.
 *
 * Rules:
 * - Nothing is known here of any one form: what a field asks for follows from its schema alone.
 * - What every command carries (`id`, `actor`, `client`, `record`) is the page's business and no field of a form.
 * - `X or null` is an X that may be left out.
 */

/**
 * @typedef {"choice"|"choices"|"yes_no"|"number"|"whole"|"text"|"date"|"moment"|"local"|"list"|"group"|"object"} Kind
 * @typedef {object} Field
 * @property {string} name
 * @property {Kind} kind
 * @property {boolean} required   it must be said
 * @property {boolean} nullable   null stands for "not said"
 * @property {any} [initial]      what counts where it is not said
 * @property {string} [hint]      the schema's own words
 * @property {any[]} [options]    of a choice, in the schema's order
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [above]     exclusive
 * @property {number} [below]     exclusive
 * @property {string} [unit]      UCUM
 * @property {string} [pattern]
 * @property {number} [minLength]
 * @property {number} [maxLength]
 * @property {number} [minItems]
 * @property {number} [maxItems]
 * @property {Field} [item]       of a list
 * @property {Field[]} [fields]   of a group
 *
 * @typedef {object} Form
 * @property {string} name        of the command
 * @property {string} about       what its author says of it
 * @property {Field[]} fields     those that must be said first
 * @property {Set<string>} takes  every property of the command
 */

/** What the page fills in by itself. */
export const ENVELOPE = new Set(["id", "actor", "client", "record"]);

const DATE = "^\\d{4}-\\d{2}-\\d{2}$";
const WITH_A_ZONE = "(Z|[+-]";
const DAY_AND_TIME = /^\^\\d\{4\}-\\d\{2\}-\\d\{2\}T/;

/**
 * The form of a command. `keep`: of the envelope, what is a field here all the same (the record of an amendment).
 * @param {any} schema
 * @param {string[]} [keep]
 * @returns {Form}
 */
export function formOf(schema, keep = []) {
  const { inner } = said(schema);
  const group = groupOf(inner, schema);
  return {
    name: String(schema.title ?? "").replace(/^(command|clinical)\./, ""),
    about: inner.description ?? "",
    fields: group.filter((field) => !ENVELOPE.has(field.name) || keep.includes(field.name)),
    takes: new Set(Object.keys(inner.properties ?? {})),
  };
}

/**
 * Of an event, what it says is in `data`.
 * @param {any} schema
 */
function said(schema) {
  const whole = resolved(schema, schema);
  return schema.title?.startsWith("clinical.") ? resolved(whole.inner.properties.data, schema) : whole;
}

/**
 * @param {any} schema  an object's
 * @param {any} root
 * @returns {Field[]}
 */
function groupOf(schema, root) {
  const needed = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, each]) =>
    fieldOf(name, each, needed.has(name), root),
  );
  const last = (/** @type {Field} */ field) => (field.name === "at" ? 2 : field.required ? 0 : 1);
  return fields.sort((a, b) => last(a) - last(b)); // a stable sort: the author's order otherwise
}

/**
 * @param {string} name
 * @param {any} schema
 * @param {boolean} required
 * @param {any} root
 * @returns {Field}
 */
export function fieldOf(name, schema, required, root) {
  const { inner, nullable } = resolved(schema, root);
  /** @type {Field} */
  const field = {
    name,
    kind: kindOf(inner, root),
    required,
    nullable,
    initial: schema.default ?? undefined,
    hint: inner.type === "object" ? undefined : (inner.description ?? schema.description),
    unit: inner["x-unit"],
    min: inner.minimum,
    max: inner.maximum,
    above: inner.exclusiveMinimum,
    below: inner.exclusiveMaximum,
    pattern: inner.pattern,
    minLength: inner.minLength,
    maxLength: inner.maxLength,
    minItems: inner.minItems,
    maxItems: inner.maxItems,
  };
  if (field.kind === "choice") field.options = inner.enum;
  if (field.kind === "choices") field.options = resolved(inner.items, root).inner.enum;
  if (field.kind === "list") field.item = fieldOf(name, inner.items ?? {}, true, root);
  if (field.kind === "group") field.fields = groupOf(inner, root);
  return field;
}

/**
 * @param {any} schema
 * @param {any} root
 * @returns {Kind}
 */
function kindOf(schema, root) {
  if (schema.enum) return "choice";
  switch (schema.type) {
    case "boolean":
      return "yes_no";
    case "number":
      return "number";
    case "integer":
      return "whole";
    case "array":
      return resolved(schema.items ?? {}, root).inner.enum ? "choices" : "list";
    case "string":
      return textKind(schema.pattern ?? "");
    case "object":
      return schema.properties ? "group" : "object";
    default:
      return "object";
  }
}

/**
 * @param {string} pattern
 * @returns {Kind}
 */
function textKind(pattern) {
  if (pattern === DATE) return "date";
  if (DAY_AND_TIME.test(pattern)) return pattern.includes(WITH_A_ZONE) ? "moment" : "local";
  return "text";
}

/**
 * The schema behind references and `or null`.
 * @param {any} schema
 * @param {any} root
 * @returns {{inner: any, nullable: boolean}}
 */
function resolved(schema, root) {
  let inner = schema;
  let nullable = false;
  for (;;) {
    if (inner.$ref) {
      inner = at(root, inner.$ref);
    } else if (inner.anyOf) {
      const others = inner.anyOf.filter((/** @type {any} */ each) => each.type !== "null");
      nullable ||= others.length < inner.anyOf.length;
      inner = others.length === 1 ? others[0] : {};
    } else {
      return { inner, nullable };
    }
  }
}

/**
 * @param {any} root
 * @param {string} reference  `#/$defs/Component`
 */
function at(root, reference) {
  return reference
    .replace(/^#\//, "")
    .split("/")
    .reduce((where, step) => where[step], root);
}
