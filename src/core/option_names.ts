/**
 * Options that do not exist. To ignore one would be wrong: somebody who writes `requireTLS` counts on TLS.
 *
 * @module
 */
import { describe, show } from "./errors.ts";

/** The names of all options of a kind, to be written out: the compiler then finds one that is missing. */
export type OptionNames<Options> = { readonly [Name in keyof Options]-?: true };

/** What to do instead, by the name that other libraries give an option, as in `{ host: "use hostname" }`. */
export type OptionHints = Readonly<Record<string, string>>;

/**
 * Refuses options that do not exist. One whose value is `undefined` counts as left out.
 *
 * What it returns has the options that the object itself has, or its class: what some other part of the program has put into
 * `Object.prototype` is nobody's option, and `verify: false` there would turn off all checks ("prototype pollution").
 *
 * @param action What cannot be done, as in "connect".
 * @param options The options, as the caller gave them.
 * @param names The names of those that exist.
 * @param more `within`: the option that they are fields of, as in "tls", if they are. `hints`: what to do instead of an option of
 * another library; the hint for `""` stands for all names that have none. `secret`: whether a name may be a secret by mistake, as in
 * `{ [password]: user }`: one is then shown only if it is known what was meant. Default: `false`.
 * @returns A copy without prototype.
 * @throws {TypeError} If there are others; or if it is not an object. No value is shown: it may be a secret.
 */
export function mustExist<Options>(
  action: string,
  options: Options,
  names: Readonly<Record<string, true>>,
  { within, hints = {}, secret = false }: { within?: string; hints?: OptionHints; secret?: boolean } = {},
): Options {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    const hides = typeof options === "string" || (secret && typeof options === "number");
    const shown = hides ? `a ${typeof options}` : describe(options);
    throw new TypeError(
      `Cannot ${action}: ${within ?? "options"} must be an object, the current value is ${shown}`,
    );
  }
  const given = options as Options & Readonly<Record<string, unknown>>;
  let wrong: string[] | undefined;
  for (const name in given) {
    if (names[name] === true || given[name] === undefined || !Object.hasOwn(given, name)) continue;
    (wrong ??= []).push(name);
  }
  if (wrong === undefined) return ownOf(given, names);
  const path = within === undefined ? "" : `${within}.`;
  const all = wrong.map((name) => {
    const instead = Object.hasOwn(hints, name) ? hints[name] : nearest(name, names, path) ?? hints[""];
    const shown = secret && instead === undefined ? "…" : name;
    return `there is no option ${show(path + shown)}, ${instead ?? `only ${Object.keys(names).join(", ")}`}`;
  });
  throw new TypeError(`Cannot ${action}: ${all.join("; ")}`);
}

function ownOf<Options extends object>(given: Options, names: Readonly<Record<string, true>>): Options {
  const own = Object.create(null);
  for (const name in names) if (isOwn(given, name)) own[name] = given[name as keyof Options];
  return own;
}

/**
 * Whether an object has a property of its own or from its class, and not from `Object.prototype`.
 *
 * @param object The object.
 * @param name The name of the property.
 */
export function isOwn(object: object, name: string): boolean {
  for (
    let at: object | null = object;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    if (Object.hasOwn(at, name)) return true;
  }
  return false;
}

/**
 * The same hint for all options of a kind: for those that belong somewhere else.
 *
 * @param names Their names.
 * @param hint What to do instead.
 * @returns The hints.
 */
export function allWith(names: Readonly<Record<string, true>>, hint: string): OptionHints {
  return Object.fromEntries(Object.keys(names).map((name) => [name, hint]));
}

/** What to do instead if the name is only misspelt. */
function nearest(name: string, names: Readonly<Record<string, true>>, path: string): string | undefined {
  const word = name.toLowerCase();
  let least = Math.min(3, Math.ceil(word.length / 3) + 1);
  let found: string | undefined;
  for (const known of Object.keys(names)) {
    const steps = distance(word, known.toLowerCase());
    if (steps >= least) continue;
    least = steps;
    found = known;
  }
  return found && `did you mean ${path}${found}?`;
}

/** How many letters have to be added, taken away or changed to make one word of another (Levenshtein). */
function distance(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > 2) return 3; // names may be long, and this is far enough
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (one[i - 1] === other[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[other.length]!;
}
