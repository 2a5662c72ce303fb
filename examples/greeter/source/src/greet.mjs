// Chooses a language by the request's Accept-Language header and greets in it.

/** The first language that the header wishes for and the catalog has; English otherwise. */
export function chooseLanguage(catalog, acceptLanguage) {
  for (const wish of (acceptLanguage ?? "").split(",")) {
    const code = wish.trim().slice(0, 2).toLowerCase();
    if (Object.hasOwn(catalog.languages, code)) return code;
  }
  return "en";
}

/** The greeting of a language for a name. */
export function greet(catalog, code, name) {
  return catalog.languages[code].greeting.replace("{name}", name);
}
