// What a person may type, checked here first so that most mistakes never leave the page.
//
// Invariant: nothing the server would accept is refused here.
// Left out: the rules for names beyond their length; the server's answer is shown for those.

export const MAX_CONTENT = 4000;

/** A message as the server will keep it: no control characters but \n and \t, trimmed. */
export function normalizeContent(text) {
  return text
    .replace(/\r\n?/g, '\n')
    .replace(/\p{Surrogate}/gu, '\ufffd')
    .replace(/\p{Cc}/gu, (c) => (c === '\n' || c === '\t' ? c : ''))
    .trim();
}

/** Length in Unicode scalar values, as every bound of the protocol counts. */
export function scalarCount(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** Why this message cannot be sent, or null. */
export function contentProblem(content) {
  if (content === '') return 'Nothing to send.';
  const length = scalarCount(content);
  if (length <= MAX_CONTENT) return null;
  return `Too long: ${length} of at most ${MAX_CONTENT} characters.`;
}
