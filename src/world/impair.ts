/** From what wires are to do to their frames to what the kernel and the process of the wires know of it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { BpfMap, Netlink } from '../../native/lib/index.js';
import { WorldError } from './errors.js';
import { doesAnything, holdsFrames, type Impairment, seedOf } from './impairment.js';
import { type WirePlan } from './layout.js';
import { lockWorld } from './lock.js';
import { hasMiddle, middleOf } from './middle.js';
import { namespacePath, wiresNamespace, wiresPinDirectory } from './place.js';
import { ensureRelay, holdLine, tell } from './relay.js';
import { type Impaired, readState, type WorldState, writeState } from './state.js';
import { findWires } from './wires.js';

export const endName = (end: WirePlan['ends'][number]): string => `${end.machine}:${end.interface}`;

/** As the world's file has it. */
export function impairedOf(wires: readonly WirePlan[]): Impaired {
  return Object.fromEntries(
    wires.flatMap(({ ends, impairments }) =>
      ends.flatMap((end, side) => {
        const impairment = impairments[side];
        return impairment ? [[endName(end), impairment]] : [];
      }),
    ),
  );
}

/** Frames since the impairment began, those lost by chance among them. */
export interface Chances {
  readonly packets: bigint;
  readonly lost: bigint;
}

/** `struct impaired` of bpf/relay.bpf.c */
function entryOf(impairment: Impairment, from: string, to: string): Buffer {
  const entry = Buffer.alloc(40);
  entry.writeBigUInt64LE(seedOf(impairment, from, to, 'loss'), 0);
  // of 2^32, upwards: what is asked for is not lost to rounding
  entry.writeBigUInt64LE(((BigInt(impairment.lossPpm) << 32n) + 999_999n) / 1_000_000n, 8);
  entry.writeUInt32LE(holdsFrames(impairment) ? 1 : 0, 32);
  return entry;
}

/** The same but for its counts. */
function isSame(a: Buffer, b: Buffer): boolean {
  return a.subarray(0, 16).equals(b.subarray(0, 16)) && a.readUInt32LE(32) === b.readUInt32LE(32);
}

const keyOf = (ifindex: number): Buffer => Buffer.from(Uint32Array.of(ifindex).buffer);

/** A direction: the end that frames leave, the other end, and the middle's interfaces on the way. */
interface Direction {
  readonly from: string;
  readonly to: string;
  readonly in: number;
  readonly out: number;
}

async function directionsOf(world: string, wires: readonly WirePlan[]): Promise<readonly Direction[]> {
  const netlink = await Netlink.open({ netns: namespacePath(wiresNamespace(world)) });
  try {
    const indices = new Map((await netlink.links()).map((link) => [link.name, link.index]));
    return wires.filter(hasMiddle).flatMap((wire) =>
      ([0, 1] as const).map((side): Direction => {
        const [near, far] = [middleOf(wire)[side], middleOf(wire)[1 - side]] as const;
        const [from, to] = [endName(wire.ends[side]), endName(wire.ends[side === 0 ? 1 : 0])];
        return { from, to, in: indexOf(indices, near, from), out: indexOf(indices, far ?? '', to) };
      }),
    );
  } finally {
    netlink.close();
  }
}

function indexOf(indices: ReadonlyMap<string, number>, name: string, end: string): number {
  const index = indices.get(name);
  if (index !== undefined) return index;
  throw new WorldError('NOT_UP', `the wire at ${end} is not whole: \`cabernet up\` mends it`);
}

function openMap(world: string): BpfMap {
  return BpfMap.openPinned(join(wiresPinDirectory(world), 'relay_impaired'));
}

/**
 * Makes all wires as `impaired` says. What is so already goes on, with its counts, but for what leaves the ends in
 * `anew`: there the numbers of frames begin again.
 */
export async function impose(
  world: string,
  wires: readonly WirePlan[],
  impaired: Impaired,
  anew: ReadonlySet<string> = new Set(),
): Promise<void> {
  if (!wires.some(hasMiddle)) return;
  const directions = await directionsOf(world, wires);
  const wanted = directions.flatMap((direction) => {
    const impairment = impaired[direction.from];
    return impairment && doesAnything(impairment) ? [{ ...direction, impairment }] : [];
  });
  const held = wanted.filter(({ impairment }) => holdsFrames(impairment));
  // somebody holds frames before they are left to it, and until they are not
  await tell(
    world,
    held.map(({ from, to, in: input, out, impairment }) => {
      const holding = { ...impairment, from: input, to: out, seed: seedOf(impairment, from, to, 'jitter') };
      return holdLine(holding, anew.has(from));
    }),
  );
  const map = openMap(world);
  try {
    for (const { from, to, in: input, impairment } of wanted) {
      const entry = entryOf(impairment, from, to);
      const present = map.lookup(keyOf(input));
      if (!present || anew.has(from) || !isSame(present, entry)) map.update(keyOf(input), entry);
    }
    const kept = new Set(wanted.map((one) => one.in));
    for (const direction of directions) if (!kept.has(direction.in)) map.delete(keyOf(direction.in));
  } finally {
    map.close();
  }
  await tell(world, [['only', ...held.map((one) => one.in)].join(' ')]);
}

/** By the end that frames leave. */
export async function chancesOf(
  state: WorldState,
  wires: readonly WirePlan[],
): Promise<ReadonlyMap<string, Chances>> {
  const world = state.plan.name;
  if (!existsSync(wiresPinDirectory(world)) || !wires.some(hasMiddle)) return new Map();
  const directions = await directionsOf(world, wires);
  const map = openMap(world);
  try {
    return new Map(
      directions.flatMap(({ from, in: input }): [string, Chances][] => {
        const entry = map.lookup(keyOf(input));
        return entry ? [[from, { packets: entry.readBigUInt64LE(16), lost: entry.readBigUInt64LE(24) }]] : [];
      }),
    );
  } finally {
    map.close();
  }
}

/**
 * All wires between two machines, from now on and until `up` makes them as the file says; undefined: they do nothing to
 * frames any more. `oneWay`: only what machine `a` sends. Returns the ends that frames leave.
 */
export async function impair(
  world: string,
  [a, b]: readonly [string, string],
  impairment: Impairment | undefined,
  oneWay: boolean,
): Promise<readonly string[]> {
  const lock = await lockWorld(world, 'impair');
  try {
    const state = readState(world);
    if (!state) throw new WorldError('NOT_UP', `world ${world} is not up`);
    const wires = findWires(state, a, b);
    for (const wire of wires) checkMiddle(state, wire);
    if (!existsSync(namespacePath(wiresNamespace(world))))
      throw new WorldError('NOT_UP', `world ${world} is not up: \`cabernet up ${state.file}\` brings it up`);
    const ends = wires.flatMap((wire) =>
      wire.ends.filter((end) => !oneWay || end.machine === a).map(endName),
    );
    const impaired: Record<string, Impairment> = { ...state.impaired };
    for (const end of ends) {
      if (impairment && doesAnything(impairment)) impaired[end] = impairment;
      else delete impaired[end];
    }
    writeState({ ...state, impaired });
    await ensureRelay(world);
    await impose(world, state.plan.wires, impaired, new Set(ends));
    return ends;
  } finally {
    await lock.release();
  }
}

function checkMiddle(state: WorldState, wire: WirePlan): void {
  if (hasMiddle(wire)) return;
  const text = `the wire ${wire.ends.map(endName).join(' – ')} is direct and cannot be impaired: take \`direct\` from it in ${state.file} and run \`cabernet up\` again`;
  throw new WorldError('IMPAIRMENT', text);
}
