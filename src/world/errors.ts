/**
 * What can be wrong with a world: its file, its host, or a command about it. The code is stable; the message is one
 * sentence for whoever typed the command, and says what would be right.
 */
import { nearest } from '../api/spelling.js';

export type WorldErrorCode =
  | 'FILE' // the world file cannot be read or is no World
  | 'NAME' // a name that is not one, is taken, or is unknown
  | 'ADDRESS'
  | 'PATH' // no way for a link or a tunnel
  | 'MTU'
  | 'DETECTION' // sooner than BFD can tell, or later than anybody waits
  | 'IMPAIRMENT' // more than a wire can do to frames
  | 'OWNER' // owners whose layers cannot be applied one after the other
  | 'BUSY' // another command is changing this world
  | 'NOT_UP'
  | 'ROOT'
  | 'HOST' // the host lacks something
  | 'AGENT' // an agent or a controller does not start, answer or agree
  | 'PROVIDER' // a provider's controller refuses what is asked of it
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
  const near = nearest(asked, names);
  if (near !== undefined) return ` Did you mean ${near}?`;
  if (names.length === 0) return '';
  const shown = names.slice(0, 20);
  return ` There is ${shown.join(', ')}${shown.length < names.length ? ', …' : ''}.`;
}
