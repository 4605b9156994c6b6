/**
 * What is known of a world that is up, or half up: written before a thing is made, so that whoever finds it can
 * remove it. A world is up if its state file says that `up` has ended.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

import { isWorldName } from './check.js';
import { WorldError } from './errors.js';
import { type Impairment } from './impairment.js';
import { statePath, worldDirectory, WORLDS } from './place.js';
import { type Seat } from './controllers.js';
import { type WorldPlan } from './layout.js';
import { type ProcessId } from './processes.js';

const VERSION = 2;

export interface WorldState {
  readonly version: typeof VERSION;
  /** The world file, absolute. */
  readonly file: string;
  /** False from the first change until all is as planned. */
  readonly complete: boolean;
  readonly plan: WorldPlan;
  /** The providers, and where their controllers answer. */
  readonly seats: readonly Seat[];
  /** By machine. */
  readonly agents: Readonly<Record<string, ProcessId>>;
  /** By provider. */
  readonly controllers: Readonly<Record<string, ProcessId>>;
  /** What wires do to frames now; a state of an earlier version has none. */
  readonly impaired?: Impaired;
}

/** By the end that frames leave, `MACHINE:INTERFACE`. */
export type Impaired = Readonly<Record<string, Impairment>>;

/** Whatever comes from a command line goes into paths. Throws WorldError. */
export function checkWorldName(name: string): void {
  if (isWorldName(name)) return;
  throw new WorldError(
    'NAME',
    `${JSON.stringify(name)} is no world's name: 1 to 20 characters of [A-Za-z0-9-]`,
  );
}

/** Undefined if there is none. */
export function readState(world: string): WorldState | undefined {
  checkWorldName(world);
  let text: string;
  try {
    text = readFileSync(statePath(world), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const state = JSON.parse(text) as WorldState;
    if (state.version === VERSION) return state;
  } catch {
    // as with another version: what it says is no use
  }
  throw new WorldError(
    'HOST',
    `${statePath(world)} was written by another version: run \`cabernet down ${world}\` and \`cabernet up\` again`,
  );
}

/** All or nothing, for whoever reads it at any time. */
export function writeState(state: WorldState): void {
  const path = statePath(state.plan.name);
  mkdirSync(worldDirectory(state.plan.name), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${JSON.stringify(state, undefined, 1)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function removeState(world: string): void {
  rmSync(worldDirectory(world), { recursive: true, force: true });
}

/** Names of the worlds that are up, or half up. */
export function knownWorlds(): readonly string[] {
  try {
    return readdirSync(WORLDS).toSorted();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
