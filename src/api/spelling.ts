/**
 * What somebody may have meant: the known name nearest to the one given.
 */

/** Nothing when none is near. Longer names than 64 characters are nobody's misspelling. */
export function nearest(given: string, known: Iterable<string>): string | undefined {
  if (given.length > 64) return undefined;
  const lower = given.toLowerCase();
  let best: string | undefined;
  let least = Math.max(1, Math.ceil(given.length / 3));
  for (const name of known) {
    const distance = name.toLowerCase().endsWith(`_${lower}`) ? 0 : editDistance(lower, name.toLowerCase());
    if (distance > least || (distance === least && best !== undefined)) continue;
    [best, least] = [name, distance];
  }
  return best;
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const swap = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(swap, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
