/** What is known of the deal with the supplier, as it lies in the store: written before anything is said that follows from it. */
import { gunzipSync, gzipSync } from 'node:zlib';

import { resourceType, type ServiceNetwork } from '../api/connectivity.js';
import { type Store } from '../store/index.js';
import { type Tx } from './model.js';

/** What was said last and not answered yet. */
export interface Ask {
  /** Of the request, so that the supplier knows it again. */
  readonly id: string;
  readonly digest: string;
  readonly expireTime: string;
}

export interface Refusal {
  readonly digest: string;
  readonly message: string;
  /** The resource that it is about, where that can be told. */
  readonly resource?: string | undefined;
  /** Not to be asked again before, milliseconds since 1970. */
  readonly until: number;
  /** How long that is from when it was refused, milliseconds; missing in what is older. */
  readonly wait?: number | undefined;
}

export interface Record {
  /** `customers/iptv/serviceNetworks/iptv` */
  readonly name: string;
  readonly supplier: string;
  readonly address: string;
  readonly ask?: Ask | undefined;
  /** Of what was granted. */
  readonly digest?: string | undefined;
  /** When it was granted, and until when: milliseconds since 1970. */
  readonly from?: number | undefined;
  readonly until?: number | undefined;
  readonly refusal?: Refusal | undefined;
  /** Of the watch at the supplier. */
  readonly token?: string | undefined;
}

const RECORD = 'deal/record';
const GRANTED = 'deal/granted';

export async function loadRecord(
  store: Store,
): Promise<{ record: Record | undefined; granted: ServiceNetwork | undefined }> {
  const [entry, bytes] = [await store.get(RECORD), await store.get(GRANTED)];
  const record = entry && (JSON.parse(Buffer.from(entry.value).toString('utf8')) as Record);
  return { record, granted: bytes && resourceType.decode(gunzipSync(bytes.value)).serviceNetwork };
}

export function putRecord(tx: Tx, record: Record | undefined): void {
  if (record) tx.putEntry(RECORD, Buffer.from(JSON.stringify(record)));
  else tx.deleteEntry(RECORD);
}

/** What was granted, with the supplier's words; compressed, for thousands of links are alike. */
export function putGranted(tx: Tx, granted: ServiceNetwork | undefined): void {
  if (granted) tx.putEntry(GRANTED, gzipSync(resourceType.encode({ serviceNetwork: granted }), { level: 1 }));
  else tx.deleteEntry(GRANTED);
}
