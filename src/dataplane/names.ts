/**
 * What an id stands for, kept in the kernel beside the records so that an agent started later finds it: a short
 * text, by convention JSON, for an id of a table.
 */
import { NameKey, NameTable as Table, NameValue } from '../../gen/layout.js';
import { type BpfMap } from '../../native/lib/index.js';
import { DataPlaneError } from './errors.js';

const TABLES = {
  instance: Table.NAME_INSTANCE,
  owner: Table.NAME_OWNER,
  node: Table.NAME_NODE,
  vif: Table.NAME_VIF,
  tunnel: Table.NAME_TUNNEL,
  wire: Table.NAME_WIRE,
  path: Table.NAME_PATH,
  /** id: the peer's session. */
  bfdPeer: Table.NAME_BFD_PEER,
  /** id: the label's slot. */
  label: Table.NAME_LABEL,
} as const;

export type NamedTable = keyof typeof TABLES;

/** Bytes (UTF-8) of the longest text. */
export const NAME_BYTES = NameValue.size - NameValue.offsets.text;

export class NameTable {
  readonly #map: BpfMap;
  readonly #texts = new Map<NamedTable, Map<number, string>>();

  constructor(map: BpfMap) {
    this.#map = map;
    for (const table of Object.keys(TABLES) as NamedTable[]) this.#texts.set(table, new Map());
  }

  /** Reads what is there. */
  async load(): Promise<void> {
    const { keys, values } = await this.#map.lookupBatch();
    const byNumber = new Map(
      Object.entries(TABLES).map(([name, number]) => [number as number, name as NamedTable]),
    );
    for (let i = 0; i * NameKey.size < keys.length; i++) {
      const key = NameKey.decode(keys, i * NameKey.size);
      const name = byNumber.get(key.table);
      if (name === undefined) continue;
      const { length, text } = NameValue.decode(values, i * this.#map.transferSize);
      this.#table(name).set(key.id, Buffer.from(text.subarray(0, length)).toString('utf8'));
    }
  }

  get size(): number {
    return [...this.#texts.values()].reduce((sum, texts) => sum + texts.size, 0);
  }

  get capacity(): number {
    return this.#map.maxEntries;
  }

  /** Bytes of kernel memory. */
  get bytes(): number {
    return this.#map.memory();
  }

  /** `NAME_TOO_LONG` for more than `NAME_BYTES` bytes. */
  set(table: NamedTable, id: number, text: string): void {
    const bytes = Buffer.from(text, 'utf8');
    if (bytes.length > NAME_BYTES) {
      throw new DataPlaneError({
        code: 'NAME_TOO_LONG',
        operation: 'names.set',
        subject: `${table} ${id}`,
        detail: `the text has ${bytes.length} bytes, there is room for ${NAME_BYTES}`,
      });
    }
    const padded = new Uint8Array(NAME_BYTES);
    padded.set(bytes);
    this.#map.update(keyOf(table, id), NameValue.encode({ length: bytes.length, text: padded }));
    this.#table(table).set(id, text);
  }

  get(table: NamedTable, id: number): string | undefined {
    return this.#table(table).get(id);
  }

  /** False when there was none. */
  delete(table: NamedTable, id: number): boolean {
    if (!this.#table(table).delete(id)) return false;
    this.#map.delete(keyOf(table, id));
    return true;
  }

  /** In no order. */
  entries(table: NamedTable): IterableIterator<[id: number, text: string]> {
    return this.#table(table).entries();
  }

  #table(table: NamedTable): Map<number, string> {
    const texts = this.#texts.get(table);
    if (texts !== undefined) return texts;
    throw new DataPlaneError({
      code: 'ARGUMENT',
      operation: 'names',
      subject: table,
      detail: `must be one of ${Object.keys(TABLES).join(', ')}`,
    });
  }
}

function keyOf(table: NamedTable, id: number): Buffer {
  return NameKey.encode({ table: TABLES[table], id });
}
