/**
 * Which outer addresses belong to which tunnel: the key of an arriving packet's outer header.
 */
import { type BpfMap } from '../../native/lib/index.js';
import { DataPlaneError, wrongArgument } from './errors.js';

export interface TunnelEnd {
  /** 4 or 16 bytes, wire order. */
  readonly local: Uint8Array;
  /** Zero: `local` is an end of some tunnel, so that strangers' packets to it are dropped by name. */
  readonly remote: Uint8Array;
  /** 0 where `remote` is zero. */
  readonly tunnel: number;
}

export class TunnelEnds {
  readonly #ipv4: BpfMap;
  readonly #ipv6: BpfMap;

  constructor(ipv4: BpfMap, ipv6: BpfMap) {
    this.#ipv4 = ipv4;
    this.#ipv6 = ipv6;
  }

  /** Packets from `remote` to `local` belong to this tunnel. `TABLE_FULL` when no more fit. */
  set(local: Uint8Array, remote: Uint8Array, tunnel: number): void {
    const { map, key } = this.#place(local, remote, 'tunnelEnds.set');
    if (!Number.isInteger(tunnel) || tunnel < 0)
      throw wrongArgument('tunnelEnds.set', 'tunnel', 'a tunnel id or 0');
    try {
      map.update(key, new Uint8Array(Uint32Array.of(tunnel).buffer));
    } catch (cause) {
      const detail = `no more than ${map.maxEntries} pairs of addresses fit`;
      throw new DataPlaneError({
        code: 'TABLE_FULL',
        operation: 'tunnelEnds.set',
        subject: map.name,
        detail,
        cause,
      });
    }
  }

  /** The tunnel, 0 for one of our addresses, undefined for a stranger. */
  get(local: Uint8Array, remote: Uint8Array): number | undefined {
    const { map, key } = this.#place(local, remote, 'tunnelEnds.get');
    return map.lookup(key)?.readUInt32LE(0);
  }

  /** False when it was not there. */
  delete(local: Uint8Array, remote: Uint8Array): boolean {
    const { map, key } = this.#place(local, remote, 'tunnelEnds.delete');
    return map.delete(key);
  }

  async entries(): Promise<TunnelEnd[]> {
    const found: TunnelEnd[] = [];
    for (const map of [this.#ipv4, this.#ipv6]) {
      const size = map.keySize / 2;
      const { keys, values } = await map.lookupBatch();
      for (let i = 0; i * map.keySize < keys.length; i++) {
        const key = new Uint8Array(keys.subarray(i * map.keySize, (i + 1) * map.keySize));
        const tunnel = values.readUInt32LE(i * map.transferSize);
        found.push({ remote: key.slice(0, size), local: key.slice(size), tunnel });
      }
    }
    return found;
  }

  // struct tunnel_key4, tunnel_key6: the source of arriving packets first
  #place(local: Uint8Array, remote: Uint8Array, operation: string): { map: BpfMap; key: Uint8Array } {
    if (local.length !== remote.length || (local.length !== 4 && local.length !== 16)) {
      throw wrongArgument(operation, 'local, remote', 'two addresses of 4 or of 16 bytes');
    }
    return { map: local.length === 4 ? this.#ipv4 : this.#ipv6, key: Buffer.concat([remote, local]) };
  }
}
