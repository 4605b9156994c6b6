/**
 * What can be wrong with a world: its file, its host, or a command about it. The code is stable; the message is one
 * sentence for whoever typed the command, and says what would be right.
 */

export type WorldErrorCode =
  | 'FILE' // the world file cannot be read or is no World
  | 'NAME' // a name that is not one, is taken, or is unknown
  | 'ADDRESS'
  | 'PATH' // no way for a link or a tunnel
  | 'MTU'
  | 'OWNER' // owners whose layers cannot be applied one after the other
  | 'BUSY' // another command is changing this world
  | 'NOT_UP'
  | 'ROOT'
  | 'HOST' // the host lacks something
  | 'AGENT' // an agent does not start, answer or agree
  | 'TIMEOUT';

export class WorldError extends Error {
  override readonly name = 'WorldError';
  readonly code: WorldErrorCode;
  /** In the world file, e.g. `networks[1].links[0].via[0]`. */
  readonly field: string | undefined;
  /** More lines for the reader: an agent's log, for example. */
  readonly detail: string | undefined;

  constructor(
    code: WorldErrorCode,
    message: string,
    facts: { field?: string; detail?: string; cause?: unknown } = {},
  ) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.field = facts.field;
    this.detail = facts.detail;
  }
}

/** ` Did you mean X?`, or what there is; empty where there is nothing. */
export function suggestion(asked: string, known: Iterable<string>): string {
  const names = [...known];
  if (names.length === 0) return '';
  let best = names[0] ?? '';
  let least = Infinity;
  for (const name of names) {
    const distance = editDistance(asked.toLowerCase(), name.toLowerCase());
    if (distance < least) [best, least] = [name, distance];
  }
  if (least <= Math.floor(asked.length / 3)) return ` Did you mean ${best}?`;
  const shown = names.slice(0, 20);
  return ` There is ${shown.join(', ')}${shown.length < names.length ? ', …' : ''}.`;
}

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
