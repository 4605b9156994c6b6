/*
 * Machine P of the packet tests, with as many routes as a benchmark wants and a station's frame to any of them.
 */
import { frame, ethernet, ipv4, payload, udp } from '../test/support/frames.js';
import type { Instance } from '../test/support/instance.js';
import { mac, machineP } from '../test/support/machine-p.js';
import type { Tables } from '../test/support/tables.js';

/** A reproducible sequence of 32-bit numbers (xorshift). */
export function sequence(seed: number): () => number {
  let x = seed >>> 0 || 1;
  return () => {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>>= 0);
  };
}

/** Machine P with `count` scattered /24 routes to M beside its own. */
export function withRoutes(count: number): { tables: Tables; networks: number[] } {
  const tables = machineP();
  const next = sequence(7);
  const networks = new Set<number>();
  while (networks.size < count) {
    const first = 11 + (next() % 100);
    networks.add(((first << 16) | (next() & 0xffff)) >>> 0);
  }
  for (const n of networks)
    tables.nodes[0]?.routes.push({ prefix: `${n >> 16}.${(n >> 8) & 255}.${n & 255}.0/24`, nextHop: 5 });
  return { tables, networks: [...networks] };
}

const address = (network: number, host: number): string =>
  `${network >> 16}.${(network >> 8) & 255}.${network & 255}.${host}`;

/** A station's frame of 64 bytes (60 and the wire's checksum, which nobody sees here). */
export function stationFrame(to: string): Buffer {
  const headers = [
    ethernet({ from: mac.hp, to: mac.vif1 }),
    ipv4({ from: '10.0.1.2', to }),
    udp({ from: 1, to: 2 }),
  ];
  return frame(...headers, payload(18));
}

/** Reads the variables' memory, lets `change` write the one named, and writes it back. */
function withVariable<T>(instance: Instance, name: string, change: (bytes: Buffer, offset: number) => T): T {
  const { offset } = instance.object.variable(name);
  const variables = instance.map('.bss');
  const key = Buffer.alloc(4);
  const bytes = variables.lookup(key);
  if (!bytes) throw new Error('the test object has no variables');
  const result = change(bytes, offset);
  variables.update(key, bytes);
  return result;
}

export function setVariable(instance: Instance, name: string, value: number): void {
  withVariable(instance, name, (bytes, offset) => bytes.writeInt32LE(value | 0, offset));
}

export function setBytes(instance: Instance, name: string, value: Buffer): void {
  withVariable(instance, name, (bytes, offset) => value.copy(bytes, offset));
}

export function readCounter(instance: Instance, name: string): number {
  return withVariable(instance, name, (bytes, offset) => Number(bytes.readBigUInt64LE(offset)));
}

/** The frame that each round begins with. */
export function setFrame(instance: Instance, bytes: Buffer): void {
  const frames = instance.map('bench_frames');
  frames.update(
    Buffer.alloc(4),
    Buffer.concat([bytes, Buffer.alloc(frames.valueSize)]).subarray(0, frames.valueSize),
  );
}

/** `count` destinations in turn, scattered over the networks; 0: the frame's own only. */
export function setDestinations(instance: Instance, networks: readonly number[], count: number): void {
  const next = sequence(11);
  for (let i = 0; i < count; i++) {
    const to = address(networks[next() % networks.length] ?? 0, 1 + (next() % 250));
    const bytes = stationFrame(to);
    const key = Buffer.alloc(4);
    key.writeUInt32LE(i);
    /* struct bench_target: the destination and its header checksum, both as on the wire */
    const target = Buffer.concat([bytes.subarray(30, 34), bytes.subarray(24, 26), Buffer.alloc(2)]);
    instance.map('bench_targets').update(key, target);
  }
  setVariable(instance, 'bench_targets_used', count);
  setVariable(instance, 'bench_turn', 0);
}
