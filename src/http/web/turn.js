// What somebody said and what is there of the answer, while it is said.

/** @typedef {{ messageId: ?string, words: ?string, stepId: ?string, stored: boolean, text: string, count: number }} Turn */

/** @returns {Turn} */
export function turn(messageId, words) {
  return { messageId, words, stepId: null, stored: false, text: "", count: 0 };
}

/** Code points, as the server counts them: not the UTF-16 units of `length`. */
export function count(text) {
  let n = 0;
  for (const _ of text) n += 1;
  return n;
}
