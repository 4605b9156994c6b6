/** The store of one controller, and who of its replicas may write there. */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { AUTHORITIES, CERTIFICATE, KEY } from '../identity/credentials.js';
import { type EtcdOptions } from '../store/etcd.js';
import { type Leader, SqliteLeader } from '../store/leader.js';
import { SqliteStore } from '../store/sqlite.js';
import { type Place } from './place.js';

export interface SeatOptions {
  readonly place: Place;
  /** `infrastructure/one` */
  readonly owner: string;
  /** Folder of who calls etcd over TLS: authorities.pem; and, where etcd asks for it, certificate.pem and key.pem. */
  readonly credentials?: string | undefined;
  /** Seconds after which a silent leader is followed by another. */
  readonly failover?: number | undefined;
}

export interface Seat {
  /** Others may lead in place of this process. */
  readonly shared: boolean;
  /** `candidate`: where clients find this replica; the others tell them. */
  leader(candidate: string): Leader;
  /** After the last leadership. */
  close(): Promise<void>;
}

/** @throws StoreError; what the file system throws */
export async function openSeat({ place, owner, credentials, failover }: SeatOptions): Promise<Seat> {
  if (place.kind === 'sqlite') {
    await mkdir(dirname(place.path), { recursive: true, mode: 0o700 });
    const store = await SqliteStore.open({ path: place.path, owner });
    return {
      shared: false,
      leader: (candidate) => new SqliteLeader(store, candidate),
      close: () => store.close(),
    };
  }
  // its client takes a quarter of a controller's start: only who uses it pays
  const { EtcdStore } = await import('../store/etcd.js');
  const { EtcdLeader } = await import('../store/etcd-leader.js');
  const tls = credentials === undefined ? undefined : await readTls(credentials);
  const store = await EtcdStore.open({ hosts: place.hosts, owner, tls });
  return {
    shared: true,
    leader: (candidate) => new EtcdLeader(store, { candidate, ttl: failover }),
    close: () => store.close(),
  };
}

async function readTls(folder: string): Promise<EtcdOptions['tls']> {
  const optional = (name: string): Promise<Buffer | undefined> =>
    readFile(join(folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
  const [ca, certificate, key] = await Promise.all([
    readFile(join(folder, AUTHORITIES)),
    optional(CERTIFICATE),
    optional(KEY),
  ]);
  return { ca, certificate, key };
}
