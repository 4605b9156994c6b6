/*
 * Wires that can be cut without anybody at their ends being told: two veth pairs each, and between them a namespace with
 * the program of a testbed's wires (bpf/relay.bpf.c), which drops all from one moment to the next.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { ensureCable } from '../src/world/cables.js';
import { ensureBpfFs } from '../src/world/host.js';
import { Relay } from '../src/world/middle.js';
import { Namespaces } from '../src/world/namespaces.js';
import { wiresNamespace, wiresPinDirectory } from '../src/world/place.js';
import { undoAtExit } from './undo.js';

export interface WireEnd {
  readonly namespace: string;
  readonly interface: string;
}

/** Both directions, or only what the first end sends. */
export type Cut = 'both' | 'forth';

const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);

/** `struct impaired` of bpf/relay.bpf.c: every frame is lost. */
function allLost(): Buffer {
  const entry = Buffer.alloc(40);
  entry.writeBigUInt64LE(1n << 32n, 8);
  return entry;
}

export class Middles {
  readonly #relay: Relay;
  /** Of each wire, the middle's interfaces by the wire's ends. */
  readonly #wires: readonly (readonly [number, number])[];
  readonly #remove: () => void;

  private constructor(relay: Relay, wires: readonly (readonly [number, number])[], remove: () => void) {
    this.#relay = relay;
    this.#wires = wires;
    this.#remove = remove;
  }

  /** The namespaces of the ends are there. */
  static async lay(
    name: string,
    ends: readonly (readonly [WireEnd, WireEnd])[],
    mtu: number,
  ): Promise<Middles> {
    await ensureBpfFs();
    const middle = wiresNamespace(name);
    const remove = undoAtExit(() => {
      spawnSync('ip', ['netns', 'delete', middle]);
      rmSync(dirname(wiresPinDirectory(name)), { recursive: true, force: true });
    });
    const namespaces = new Namespaces();
    try {
      await namespaces.ensure(middle, new Set(), false);
      spawnSync('ip', ['netns', 'exec', middle, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
      const netlink = await namespaces.netlink(middle);
      const wires: [number, number][] = [];
      for (const [i, pair] of ends.entries()) {
        const indices: number[] = [];
        for (const [k, end] of pair.entries()) {
          const own = `${i}-${k}`;
          await ensureCable(namespaces, [end, { namespace: middle, interface: own, gro: false }], mtu);
          indices.push((await netlink.link(own))?.index ?? 0);
        }
        wires.push([indices[0] ?? 0, indices[1] ?? 0]);
      }
      const relay = await Relay.open(name);
      await relay.join(wires);
      return new Middles(relay, wires, remove);
    } catch (error) {
      remove();
      throw error;
    } finally {
      namespaces.close();
    }
  }

  /** From now on nothing comes through. Returns the moment just before, ns of CLOCK_MONOTONIC. */
  cut(wire: number, which: Cut): bigint {
    const [near, far] = this.#wires[wire] ?? [0, 0];
    const [keys, entry] = [which === 'both' ? [near, far] : [near], allLost()];
    const before = process.hrtime.bigint();
    for (const key of keys) this.#relay.impaired.update(u32(key), entry);
    return before;
  }

  mend(wire: number): void {
    for (const key of this.#wires[wire] ?? [])
      if (this.#relay.impaired.lookup(u32(key))) this.#relay.impaired.delete(u32(key));
  }

  close(): void {
    this.#relay.close();
    this.#remove();
  }
}
