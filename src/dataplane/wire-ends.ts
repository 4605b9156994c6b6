/**
 * Which wire a labelled frame has arrived on: by port and VLAN. What a program finds here it holds against the wire's
 * own record.
 */
import { WireKey } from '../../gen/layout.js';
import { type BpfMap } from '../../native/lib/index.js';
import { DataPlaneError, wrongArgument } from './errors.js';

export interface WirePlace {
  /** Of the interface. */
  readonly ifindex: number;
  /** 0: untagged. */
  readonly vlan: number;
}

export interface WireEnd extends WirePlace {
  readonly wire: number;
}

const LAST_VLAN = 4094;

export class WireEnds {
  readonly #map: BpfMap;

  constructor(map: BpfMap) {
    this.#map = map;
  }

  /** Labels that arrive there are this wire's. `TABLE_FULL` when no more fit. */
  set(place: WirePlace, wire: number): void {
    const operation = 'wireEnds.set';
    if (!Number.isInteger(wire) || wire < 1) throw wrongArgument(operation, 'wire', 'the id of a wire');
    const key = keyOf(place, operation);
    try {
      this.#map.update(key, new Uint8Array(Uint32Array.of(wire).buffer));
    } catch (cause) {
      const detail = `no more than ${this.#map.maxEntries} wires fit`;
      throw new DataPlaneError({ code: 'TABLE_FULL', operation, subject: this.#map.name, detail, cause });
    }
  }

  get(place: WirePlace): number | undefined {
    return this.#map.lookup(keyOf(place, 'wireEnds.get'))?.readUInt32LE(0);
  }

  /** False when it was not there. */
  delete(place: WirePlace): boolean {
    return this.#map.delete(keyOf(place, 'wireEnds.delete'));
  }

  async entries(): Promise<WireEnd[]> {
    const found: WireEnd[] = [];
    const { keys, values } = await this.#map.lookupBatch();
    const { keySize, transferSize } = this.#map;
    for (let i = 0; i * keySize < keys.length; i++) {
      found.push({ ...WireKey.decode(keys, i * keySize), wire: values.readUInt32LE(i * transferSize) });
    }
    return found;
  }
}

function keyOf({ ifindex, vlan }: WirePlace, operation: string): Uint8Array {
  if (!Number.isInteger(ifindex) || ifindex < 1)
    throw wrongArgument(operation, 'ifindex', 'an interface index');
  if (!Number.isInteger(vlan) || vlan < 0 || vlan > LAST_VLAN)
    throw wrongArgument(operation, 'vlan', `an integer from 0 to ${LAST_VLAN}`);
  return WireKey.encode({ ifindex, vlan });
}
