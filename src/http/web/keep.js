// What the browser keeps for us, which is little (docs/security.md, "In the browser").
//
// In this tab (sessionStorage: gone when the tab is closed, survives a reload and a phone that throws the tab out of
// memory): the refresh token, which conversation is open, and words that the server does not have yet. For good
// (localStorage): the language, and whether guesses of feelings were put away. Access tokens and conversations are in
// memory only.

/** Where a browser forbids storage we remember until the next reload. */
function kept(storage) {
  const memory = new Map();
  const change = (name, value) => {
    memory.set(name, value);
    try {
      if (value === null) storage().removeItem(`deepme.${name}`);
      else storage().setItem(`deepme.${name}`, JSON.stringify(value));
    } catch {
      // Forbidden, or full.
    }
  };
  return {
    get(name) {
      if (memory.has(name)) return memory.get(name);
      try {
        return JSON.parse(storage().getItem(`deepme.${name}`));
      } catch {
        return null;
      }
    },
    set: change,
    drop: (name) => change(name, null),
  };
}

/** Until this tab is closed. */
export const tab = kept(() => sessionStorage);

/** Until it is changed. */
export const preference = kept(() => localStorage);
