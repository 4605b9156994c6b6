// The few functions generated layouts stand on, as source text: a generated file
// gets those it uses, so that it needs no import.

const PARTS: ReadonlyMap<string, string> = new Map([
  [
    'int',
    `function int(value: number, low: number, high: number, field: string): number {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new RangeError(\`\${field} must be an integer between \${low} and \${high}, not \${value}\`);
  }
  return value;
}
`,
  ],
  [
    'big',
    `function big(value: bigint, low: bigint, high: bigint, field: string): bigint {
  if (typeof value !== 'bigint' || value < low || value > high) {
    throw new RangeError(\`\${field} must be a bigint between \${low} and \${high}, not \${value}\`);
  }
  return value;
}
`,
  ],
  [
    'count',
    `function count(found: number, wanted: number, field: string): void {
  if (found !== wanted) throw new RangeError(\`\${field} must have \${wanted} elements, not \${found}\`);
}
`,
  ],
  [
    'item',
    `function item<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new RangeError(\`\${field} must have no holes\`);
  return value;
}
`,
  ],
  [
    'putBytes',
    `function putBytes(v: DataView, at: number, value: Uint8Array, length: number, field: string): void {
  if (value.length !== length) throw new RangeError(\`\${field} must have \${length} bytes, not \${value.length}\`);
  new Uint8Array(v.buffer, v.byteOffset + at, length).set(value);
}
`,
  ],
  [
    'getBytes',
    `function getBytes(v: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(v.buffer, v.byteOffset + at, length).slice();
}
`,
  ],
  [
    'zero',
    `function zero(v: DataView, at: number, length: number): void {
  new Uint8Array(v.buffer, v.byteOffset + at, length).fill(0);
}
`,
  ],
  [
    'codec',
    `/** Translates between a value and its bytes in a BPF map. */
export interface LayoutCodec<T, Offsets> {
  /** Bytes. */
  readonly size: number;
  /** Where each field begins, in bytes. */
  readonly offsets: Offsets;
  encode(value: T): Buffer;
  encodeInto(target: DataView | Uint8Array, offset: number, value: T): void;
  decode(source: DataView | Uint8Array, offset?: number): T;
}

function viewOf(bytes: DataView | Uint8Array, offset: number, size: number): DataView {
  if (!Number.isInteger(offset) || offset < 0 || bytes.byteLength - offset < size) {
    throw new RangeError(\`\${size} bytes are needed at offset \${offset}, there are \${bytes.byteLength}\`);
  }
  return bytes instanceof DataView ? bytes : new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function codec<T, Offsets>(
  size: number,
  offsets: Offsets,
  write: (v: DataView, o: number, value: T) => void,
  read: (v: DataView, o: number) => T,
): LayoutCodec<T, Offsets> {
  return {
    size,
    offsets,
    encode(value: T): Buffer {
      const bytes = Buffer.alloc(size);
      write(new DataView(bytes.buffer, bytes.byteOffset, size), 0, value);
      return bytes;
    },
    encodeInto(target: DataView | Uint8Array, offset: number, value: T): void {
      write(viewOf(target, offset, size), offset, value);
    },
    decode(source: DataView | Uint8Array, offset = 0): T {
      return read(viewOf(source, offset, size), offset);
    },
  };
}
`,
  ],
]);

/** The text of the functions named. */
export function layoutRuntime(uses: ReadonlySet<string>): string {
  return [...PARTS].flatMap(([name, text]) => (uses.has(name) ? [text] : [])).join('\n');
}
