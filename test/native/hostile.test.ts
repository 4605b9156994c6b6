// Anything at all as arguments, in any order, on handles open and closed: every
// call ends in a value or in a TypeError, RangeError or BpfError; the process stays up.
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BpfError } from '../../native/lib/error.js';
import { XdpLink } from '../../native/lib/link.js';
import { BpfMap } from '../../native/lib/map.js';
import { BpfObject } from '../../native/lib/object.js';
import { BpfProgram } from '../../native/lib/program.js';
import { RingBuffer } from '../../native/lib/ring.js';
import { addonFile, fixture, makeWire, type Wire } from './fixtures.js';

type Method = (...args: unknown[]) => unknown;
interface Addon {
  objectOpen(
    path: string,
    name: null,
    level: number,
  ): { load(): Promise<void> } & Record<'map' | 'program', Method>;
  mapCreate(...args: unknown[]): object;
  ringOpen(...args: unknown[]): { setRef(keepAlive: boolean): void };
  setErrorClass(errorClass: unknown): void;
}

const addon = createRequire(import.meta.url)(addonFile) as Addon & Record<string, unknown>;

function detached(): Uint8Array {
  const bytes = new Uint8Array(4);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

// No number names an interface here or asks for a long run; no string is a path with folders.
const values = [
  ...[
    undefined,
    null,
    true,
    false,
    -1,
    0,
    -0,
    0.5,
    3,
    64,
    9999,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    Number.NaN,
    Infinity,
  ],
  ...[
    '',
    'counters',
    'nothing',
    'any',
    'a\0b',
    'x'.repeat(5000),
    'native',
    5n,
    2n ** 70n,
    Symbol('s'),
    Symbol.iterator,
  ],
  ...[
    [],
    [1, 2],
    {},
    { mode: 'native' },
    { data: Buffer.alloc(64) },
    () => undefined,
    class {},
    new Date(),
    /x/,
  ],
  ...[0, 1, 4, 8, 16, 24, 63, 64].map((size) => Buffer.alloc(size, 1)),
  ...[
    new Uint8Array(new SharedArrayBuffer(4)),
    new Uint16Array(2),
    new Float64Array(1),
    new DataView(new ArrayBuffer(4)),
  ],
  ...[new ArrayBuffer(4), detached(), new Proxy({}, {}), new Proxy([], {}), Object.create(null) as unknown],
  new Proxy(
    {},
    {
      get() {
        throw new TypeError('a trap');
      },
    },
  ),
];

let wire: Wire;
const handles: unknown[] = [];
const things: Array<readonly [string, object]> = [];
const raw: Array<readonly [string, object]> = [];

beforeAll(async () => {
  wire = makeWire('hostile');
  const object = BpfObject.open(fixture('maps'));
  await object.load();
  const closed = BpfObject.open(fixture('maps'));
  await closed.load();
  const [map, program] = [object.map('counters'), object.program('constant_verdict')];
  const link = program.attachXdp(wire.a, { mode: 'native', netns: wire.path });
  const ring = RingBuffer.open(object.map('events'), { onRecords: () => undefined }).unref();
  const [closedMap, closedProgram] = [closed.map('table'), closed.program('redirect')];
  const closedRing = RingBuffer.open(closed.map('events'), { onRecords: () => undefined });
  for (const thing of [closed, closedMap, closedProgram, closedRing]) thing.close();
  const unloaded = BpfObject.open(fixture('maps'));
  handles.push(object, map, program, link, ring, unloaded, closed, closedMap, closedProgram, closedRing);
  for (const name of ['outer', 'ports', 'calls', 'table', 'routes', 'per_cpu'])
    handles.push(object.map(name));
  for (const handle of handles) things.push([(handle as object).constructor.name, handle as object]);
  things.push(
    ...[BpfObject, BpfMap, BpfProgram, XdpLink, RingBuffer].map((kind) => [kind.name, kind] as const),
  );

  const native = addon.objectOpen(fixture('maps'), null, 0);
  await native.load();
  const nativeMap = native.map('counters') as object;
  const nativeRing = addon.ringOpen(native.map('events'), 10, () => undefined);
  nativeRing.setRef(false);
  const natives = [
    native,
    nativeMap,
    native.map('outer'),
    native.program('redirect'),
    nativeRing,
  ] as object[];
  handles.push(...natives);
  raw.push(...natives.map((thing) => [thing.constructor.name, thing] as const), ['addon', addon]);
});

afterAll(() => {
  addon.setErrorClass(BpfError);
  for (const handle of handles) (handle as { close(): void }).close();
  wire.remove();
});

function methodsOf(thing: object): string[] {
  const owner =
    typeof thing === 'function' || thing === addon ? thing : (Object.getPrototypeOf(thing) as object);
  return Object.getOwnPropertyNames(owner).filter((name) => {
    const member = Object.getOwnPropertyDescriptor(owner, name);
    // Those that would end the handle under the test, or the test itself.
    const ending = ['constructor', 'close', 'detach', 'prototype', 'name', 'length'];
    // Of the addon itself only what is about BPF: its other parts change the machine.
    if (owner === addon && !/^(object|map|program|link|ring)[A-Z]/.test(name)) return false;
    return !ending.includes(name) && (member?.get !== undefined || typeof member?.value === 'function');
  });
}

async function isTyped(call: () => unknown): Promise<void> {
  try {
    let result: unknown = call();
    // Generators do their work when asked.
    if (
      typeof result === 'object' &&
      result !== null &&
      Symbol.iterator in result &&
      !Buffer.isBuffer(result)
    ) {
      result = [...(result as Iterable<unknown>)].length;
    }
    const opened: unknown = await result;
    if (opened !== null && typeof opened === 'object' && 'close' in opened) (opened.close as () => void)();
  } catch (error) {
    const typed = error instanceof BpfError || error instanceof TypeError || error instanceof RangeError;
    expect(typed, String(error)).toBe(true);
    if (error instanceof BpfError) expect(error.code).toMatch(/^[A-Z][A-Z0-9_]+$/);
  }
}

function argument(): fc.Arbitrary<unknown> {
  return fc.oneof(fc.constantFrom(...values), fc.constantFrom(...handles), fc.uint8Array({ maxLength: 40 }));
}

describe('anything as arguments', { timeout: 60_000 }, () => {
  it('of the library’s methods', async () => {
    const calls = things.flatMap(([, thing]) => methodsOf(thing).map((name) => [thing, name] as const));
    const call = fc.tuple(fc.constantFrom(...calls), fc.array(argument(), { maxLength: 4 }));
    await fc.assert(
      fc.asyncProperty(call, async ([[thing, name], args]) => {
        await isTyped(() => {
          const member = (thing as Record<string, unknown>)[name];
          return typeof member === 'function' ? (member as Method).apply(thing, args) : member;
        });
      }),
      { numRuns: 3000 },
    );
  });

  it('of the addon’s own functions', async () => {
    const calls = raw.flatMap(([, thing]) => methodsOf(thing).map((name) => [thing, name] as const));
    const call = fc.tuple(fc.constantFrom(...calls), fc.array(argument(), { maxLength: 8 }));
    await fc.assert(
      fc.asyncProperty(call, async ([[thing, name], args]) => {
        await isTyped(() => ((thing as Record<string, unknown>)[name] as Method).apply(thing, args));
      }),
      { numRuns: 5000 },
    );
  });

  it('as the object a method is called on', async () => {
    const calls = [...things, ...raw].flatMap(([, thing]) =>
      methodsOf(thing).map((name) => [thing, name] as const),
    );
    const call = fc.tuple(fc.constantFrom(...calls), argument(), fc.array(argument(), { maxLength: 3 }));
    await fc.assert(
      fc.asyncProperty(call, async ([[thing, name], self, args]) => {
        await isTyped(() => {
          const owner = typeof thing === 'function' ? thing : (Object.getPrototypeOf(thing) as object);
          const member = Object.getOwnPropertyDescriptor(owner, name);
          const method = member?.get ?? (member?.value as Method | undefined);
          return method?.apply(self, args);
        });
      }),
      { numRuns: 3000 },
    );
  });

  it('of the constructors, which are not for use', async () => {
    const constructors = [...things, ...raw].map(([, thing]) =>
      typeof thing === 'function' ? thing : thing.constructor,
    );
    const call = fc.tuple(fc.constantFrom(...constructors), fc.array(argument(), { maxLength: 3 }));
    await fc.assert(
      fc.asyncProperty(call, async ([constructor, args]) => {
        if (constructor === Object) return;
        await isTyped(() => Reflect.construct(constructor, args) as unknown);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('arguments that act', () => {
  it('a list whose element closes the map it is given to', () => {
    const outer = addon.mapCreate(
      12,
      'outer',
      4,
      4,
      4,
      0,
      addon.mapCreate(2, 'i', 4, 8, 1, 0, null, null),
      null,
    ) as {
      update: Method;
      updateBatch: Method;
      close(): void;
    };
    const trap = [0];
    Object.defineProperty(trap, 0, { get: () => outer.close() });
    const key = new Uint8Array(4);
    for (const call of [() => outer.update(key, trap, 0, null), () => outer.updateBatch(key, trap, 0)]) {
      expect(call).toThrow(BpfError);
    }
  });

  it('a list whose element takes the key’s memory away', () => {
    const inner = addon.mapCreate(2, 'i', 4, 8, 1, 0, null, null);
    const outer = addon.mapCreate(12, 'outer', 4, 4, 4, 0, inner, null) as { update: Method };
    const key = new Uint8Array(4);
    const trap = [0];
    Object.defineProperty(trap, 0, {
      get: () => {
        structuredClone(key.buffer, { transfer: [key.buffer] });
        return inner;
      },
    });
    expect(() => outer.update(key, trap, 0, null)).toThrow(expect.objectContaining({ code: 'ERR_SIZE' }));
  });
});
