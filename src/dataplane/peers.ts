/**
 * BFD peers: sessions that watch neighbours on the underlay, over UDP (RFC 5881) or on a wire without IP, each with its
 * place, where its packets arrive, and the headers that ours leave with. Ids are sessions' ids.
 */
import { Peer, PeerKey } from '../../gen/layout.js';
import { type BpfMap } from '../../native/lib/index.js';
import { DataPlaneError } from './errors.js';
import { type IdPool } from './pool.js';
import { RecordTable } from './records.js';
import { NOT_MEASURED, type Session, type SessionTable } from './sessions.js';

/** Where packets of a neighbour arrive, and between which addresses. */
export interface PeerPlace {
  /** Of the wire. */
  readonly ifindex: number;
  /** 0: untagged. */
  readonly vlan: number;
  /** 0: in the channel of the wire itself, without addresses. */
  readonly family: 0 | 4 | 6;
  /** In network order, 4, 16 or no bytes. */
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
}

export type PeerTiming = Pick<Session, 'minTx' | 'minRx' | 'multiplier' | 'restore' | 'flags'>;

export class PeerTable {
  readonly records;
  readonly #sessions: SessionTable;
  readonly #ends: BpfMap;

  constructor(map: (name: string) => BpfMap, pool: IdPool, sessions: SessionTable) {
    this.records = new RecordTable(map('peers'), Peer, { pool });
    this.#sessions = sessions;
    this.#ends = map('peer_ends');
  }

  /** The session of an allocated id begins. `TABLE_FULL` when no more fit. */
  begin(id: number, place: PeerPlace, timing: PeerTiming): void {
    const { ifindex, vlan, family } = place;
    const [local, remote] = [padded(place.local), padded(place.remote)];
    this.records.write(id, { vlan, family, hop: 0, local, remote });
    this.records.set(id, 'ifindex', ifindex);
    try {
      this.#ends.update(keyOf(place), new Uint8Array(Uint32Array.of(id).buffer));
    } catch (cause) {
      const detail = `no more than ${this.#ends.maxEntries} peers fit`;
      throw new DataPlaneError({ code: 'TABLE_FULL', operation: 'peers.begin', detail, cause });
    }
    this.#sessions.begin(id, { ...timing, ...NOT_MEASURED, path: 0, context: 0, label: 0, vif: 0, index: 0 });
  }

  /** Nothing is heard or sent by it any more; the id is still allocated. */
  end(id: number): void {
    this.#sessions.end(id);
    const { ifindex, vlan, family, local, remote } = this.records.read(id);
    const key = PeerKey.encode({ ifindex, vlan, family, local, remote });
    // another may have the place by now
    if (this.#ends.lookup(key)?.readUInt32LE(0) === id) this.#ends.delete(key);
  }

  /** Its packets leave with these headers, by one word; 0: with none. */
  setHop(id: number, hop: number): void {
    this.records.set(id, 'hop', hop);
  }

  /** What goes by the neighbour is sent another way. */
  isDown(id: number): boolean {
    return id !== 0 && this.records.read(id).down !== 0;
  }

  isAt(id: number, { ifindex, vlan, family, local, remote }: PeerPlace): boolean {
    const record = this.records.read(id);
    const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, padded(b)) === 0;
    const placed = record.ifindex === ifindex && record.vlan === vlan && record.family === family;
    return placed && same(record.local, local) && same(record.remote, remote);
  }

  /** Entries that lead to no peer here are taken away. */
  async sweep(ours: ReadonlySet<number>): Promise<void> {
    const { keys, values } = await this.#ends.lookupBatch();
    const { keySize, transferSize } = this.#ends;
    for (let i = 0; i * keySize < keys.length; i++) {
      if (ours.has(values.readUInt32LE(i * transferSize))) continue;
      this.#ends.delete(keys.subarray(i * keySize, (i + 1) * keySize));
    }
  }
}

function padded(address: Uint8Array): Uint8Array {
  const field = new Uint8Array(16);
  field.set(address);
  return field;
}

function keyOf({ ifindex, vlan, family, local, remote }: PeerPlace): Uint8Array {
  return PeerKey.encode({ ifindex, vlan, family, local: padded(local), remote: padded(remote) });
}
