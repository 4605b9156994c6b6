/** What one word of `cabernet get` shows: its columns, and where its rows come from. */
import { type Agents, type Said, type WorldState } from '../../world/index.js';
import { type Column, type Row } from '../output.js';

/** A row, and what a name given on the command line is held against. */
export interface Found {
  readonly row: Row;
  /** `iptv/P/to-M`, `P`: a name asked for is one of these, or the beginning of one up to a slash. */
  readonly names: readonly string[];
}

export interface Answer {
  readonly found: readonly Found[];
  /** Machines whose agents did not answer, and why. */
  readonly silent: readonly Said<string>[];
}

export interface Kind {
  readonly columns: readonly Column[];
  /** It changes without any event: shown again every second. */
  readonly counts?: boolean;
  /** Without a world there is one agent, called over TCP. */
  readonly read: (state: WorldState | undefined, agents: Agents) => Promise<Answer>;
}

export function matches(found: Found, asked: string): boolean {
  return found.names.some((name) => name === asked || name.startsWith(`${asked}/`));
}

/** One row for each thing that each agent told. */
export function rowsOf<T>(
  answers: readonly Said<readonly T[]>[],
  found: (thing: T, machine: string) => Found,
): readonly Found[] {
  return answers.flatMap(({ machine, value }) => value.map((thing) => found(thing, machine)));
}
