// Requests and answers with a made-up kernel: order, packing, interrupted dumps, lost and
// senseless answers, closing.
import { describe, expect, it } from 'vitest';
import { eachMessage, Writer } from '../../native/lib/netlink/attributes.js';
import type { NativeNetlink, OnReceive } from '../../native/lib/netlink/native.js';
import type { Request } from '../../native/lib/netlink/requests.js';
import { RequestSocket } from '../../native/lib/netlink/socket.js';
import { until } from './fixtures.js';
import { failure } from './netlink-fixtures.js';

const ERROR = 2;
const DONE = 3;
const ACK = 0x4;
const DUMP = 0x300;
const DUMP_INTR = 0x10;

interface Sent {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
}

/** Keeps what is sent until the test answers it. */
class MadeUpKernel implements NativeNetlink {
  readonly datagrams: Sent[][] = [];
  keepAlive = true;
  closed = false;
  refuse: Error | undefined;
  #onReceive: OnReceive = () => undefined;

  listen(onReceive: OnReceive): void {
    this.#onReceive = onReceive;
  }
  join(): void {}
  sibling(): NativeNetlink {
    return this;
  }
  receiveBuffer(): number {
    return 1 << 22;
  }
  setRef(keepAlive: boolean): void {
    this.keepAlive = keepAlive;
  }
  close(): void {
    this.closed = true;
  }
  async send(bytes: Uint8Array): Promise<void> {
    const messages: Sent[] = [];
    eachMessage(bytes, ({ type, flags, sequence }) => messages.push({ type, flags, sequence }));
    await Promise.resolve();
    if (this.refuse !== undefined) throw this.refuse;
    this.datagrams.push(messages);
  }

  answer(write: (writer: Writer) => void, lost = false): void {
    const writer = new Writer();
    write(writer);
    const block = Uint8Array.from(writer.bytes).buffer;
    this.#onReceive(block, Uint32Array.of(block.byteLength), lost);
  }
  acknowledge(sequence: number, errno = 0): void {
    this.answer((writer) => {
      writer
        .begin(ERROR, 0x100)
        .u32(-errno >>> 0)
        .zeros(16);
      writer.end(sequence);
    });
  }
  lose(): void {
    this.#onReceive(new ArrayBuffer(0), new Uint32Array(0), true);
  }
  say(bytes: Uint8Array): void {
    this.#onReceive(Uint8Array.from(bytes).buffer, Uint32Array.of(bytes.length), false);
  }
  /** Acknowledges each datagram as it comes, refusing the requests of the types given. */
  obey(refused: ReadonlyMap<number, number> = new Map()): void {
    const serve = (): void => {
      for (const messages of this.datagrams.splice(0)) {
        for (const { type, flags, sequence } of messages) {
          const errno = refused.get(type) ?? 0;
          if (errno !== 0 || (flags & ACK) !== 0) this.acknowledge(sequence, errno);
        }
      }
      if (!this.closed) setImmediate(serve).unref();
    };
    serve();
  }
}

const change = (type: number, size = 0): Request => ({
  operation: 'change',
  subject: () => `number ${type}`,
  write: (writer) => writer.begin(type, 0x1).zeros(size),
});

const dump = {
  operation: 'dump',
  write: (writer: Writer) => writer.begin(500, DUMP),
  read: (payload: { u32(): number }): number => payload.u32(),
};

function part(kernel: MadeUpKernel, sequence: number, value: number, flags = 0): void {
  kernel.answer((writer) => {
    writer.begin(501, 0x2 | flags).u32(value);
    writer.end(sequence);
  });
}

function done(kernel: MadeUpKernel, sequence: number, errno = 0, flags = 0): void {
  kernel.answer((writer) => {
    writer.begin(DONE, 0x2 | flags).u32(-errno >>> 0);
    writer.end(sequence);
  });
}

async function nextSequence(kernel: MadeUpKernel): Promise<number> {
  await until(() => kernel.datagrams.length > 0, 'a datagram');
  return kernel.datagrams.shift()?.at(-1)?.sequence ?? 0;
}

describe('changes', () => {
  it('go many to a datagram, in order, the last one acknowledged', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    const all = socket.run('batch', 5000, (i) => change(1000 + i));
    const types: number[] = [];
    const sizes: number[] = [];
    while (types.length < 5000) {
      await until(() => kernel.datagrams.length > 0, 'a datagram');
      const messages = kernel.datagrams.shift() ?? [];
      sizes.push(messages.length);
      types.push(...messages.map(({ type }) => type));
      expect(messages.filter(({ flags }) => (flags & ACK) !== 0)).toEqual([messages.at(-1)]);
      kernel.acknowledge(messages.at(-1)?.sequence ?? 0);
    }
    expect(await all).toEqual(Array.from({ length: 5000 }));
    expect(types).toEqual(Array.from({ length: 5000 }, (_, i) => 1000 + i));
    expect(sizes.length).toBeLessThanOrEqual(10);
    socket.close();
  });

  it('are each told their own error', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    kernel.obey(
      new Map([
        [1002, 17],
        [1004, 95],
      ]),
    );
    const errors = await socket.run('batch', 5, (i) => change(1000 + i));
    expect(errors.map((error) => error?.code)).toEqual([
      undefined,
      undefined,
      'EEXIST',
      undefined,
      'EOPNOTSUPP',
    ]);
    expect(errors[2]).toMatchObject({ operation: 'change', subject: 'number 1002', errno: 17 });
    socket.close();
  });

  it('that cannot be written are not sent, and do not harm the others', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    kernel.obey();
    const errors = await socket.run('batch', 4, (i) => {
      if (i === 0) throw new TypeError('no request');
      return i === 2
        ? { ...change(1), write: (writer) => writer.begin(9, 0).attributeBytes(1, new Uint8Array(7e4)) }
        : change(i);
    });
    expect(errors.map((error) => error?.code)).toEqual(['ERR_ARGUMENT', undefined, 'EBADMSG', undefined]);
    socket.close();
  });

  it('of many callers share datagrams', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    const all = Array.from({ length: 100 }, (_, i) => socket.one(change(i + 1)));
    const first = await nextSequence(kernel);
    kernel.acknowledge(first);
    const second = await nextSequence(kernel);
    kernel.acknowledge(second);
    await Promise.all(all);
    expect(second).toBe(100);
    socket.close();
  });

  it('whose answer was lost are told so, and the next go on', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    const lost = failure(socket.one(change(1)));
    await nextSequence(kernel);
    kernel.lose();
    expect(await lost).toMatchObject({ code: 'ENOBUFS', operation: 'change' });
    const senseless = failure(socket.one(change(2)));
    await nextSequence(kernel);
    kernel.say(Buffer.alloc(20, 0xff));
    expect(await senseless).toMatchObject({ code: 'ENOBUFS' });
    const next = socket.one(change(3));
    kernel.acknowledge(await nextSequence(kernel));
    await next;
    socket.close();
  });

  it('that cannot be sent are told why', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    kernel.refuse = new Error('no memory');
    expect(await failure(socket.one(change(1)))).toMatchObject({ name: 'BpfError', operation: 'change' });
    kernel.refuse = undefined;
    kernel.obey();
    await socket.one(change(2));
    socket.close();
  });

  it('are not confused by stale, foreign or doubled answers', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    const first = socket.one(change(1));
    const sequence = await nextSequence(kernel);
    for (const other of [0, sequence + 1, sequence - 1, 0x7fffffff, 0x80000000, 0xffffffff])
      kernel.acknowledge(other, 1);
    kernel.acknowledge(sequence);
    kernel.acknowledge(sequence, 1);
    await first;
    socket.close();
  });
});

describe('a dump', () => {
  it('is begun anew when the table changed meanwhile', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    const found = socket.dump(dump);
    const first = await nextSequence(kernel);
    part(kernel, first, 1);
    part(kernel, first, 2, DUMP_INTR);
    done(kernel, first);
    const second = await nextSequence(kernel);
    expect(second).not.toBe(first);
    part(kernel, first, 99);
    part(kernel, second, 3);
    done(kernel, second);
    expect(await found).toEqual([3]);
    socket.close();
  });

  it('gives up with EINTR when the table never stops changing', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    const end = failure(socket.dump(dump));
    for (let i = 0; i < 20; i++) done(kernel, await nextSequence(kernel), 0, DUMP_INTR);
    expect(await end).toMatchObject({ code: 'EINTR', operation: 'dump' });
    expect(kernel.datagrams).toEqual([]);
    socket.close();
  });

  it('waits for the one before it', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    const both = Promise.all([socket.dump(dump), socket.dump(dump)]);
    const first = await nextSequence(kernel);
    part(kernel, first, 1);
    expect(kernel.datagrams).toEqual([]);
    done(kernel, first);
    const second = await nextSequence(kernel);
    part(kernel, second, 2);
    done(kernel, second);
    expect(await both).toEqual([[1], [2]]);
    socket.close();
  });

  it('that fails, in the kernel or in reading, leaves the next one alone', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    const refused = failure(socket.dump(dump));
    done(kernel, await nextSequence(kernel), 95);
    expect(await refused).toMatchObject({ code: 'EOPNOTSUPP', operation: 'dump' });
    const unreadable = failure(socket.dump({ ...dump, read: (payload) => payload.u64(100) }));
    const sequence = await nextSequence(kernel);
    part(kernel, sequence, 1);
    done(kernel, sequence);
    expect(await unreadable).toMatchObject({ code: 'EBADMSG' });
    const good = socket.dump(dump);
    done(kernel, await nextSequence(kernel));
    expect(await good).toEqual([]);
    socket.close();
  });
});

describe('a socket', () => {
  it('keeps the process alive only while something is asked', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    expect(kernel.keepAlive).toBe(false);
    const asked = socket.one(change(1));
    expect(kernel.keepAlive).toBe(true);
    kernel.acknowledge(await nextSequence(kernel));
    await asked;
    expect(kernel.keepAlive).toBe(false);
    const found = socket.dump(dump);
    expect(kernel.keepAlive).toBe(true);
    done(kernel, await nextSequence(kernel));
    await found;
    expect(kernel.keepAlive).toBe(false);
    socket.close();
  });

  it('ends what is in flight with ERR_CLOSED when it is closed, and refuses more', async () => {
    const kernel = new MadeUpKernel();
    const socket = new RequestSocket(kernel);
    const ends = Promise.all([
      failure(socket.one(change(1))),
      failure(socket.dump(dump)),
      failure(socket.dump(dump)),
      socket.run('batch', 2000, (i) => change(i + 1)),
    ]);
    await nextSequence(kernel);
    socket.close();
    socket.close();
    const [one, first, second, batch] = await ends;
    for (const error of [one, first, second, ...batch]) expect(error).toMatchObject({ code: 'ERR_CLOSED' });
    expect(one).toMatchObject({ operation: 'change' });
    expect(await failure(socket.one(change(1)))).toMatchObject({ code: 'ERR_CLOSED' });
    expect(await failure(socket.dump(dump))).toMatchObject({ code: 'ERR_CLOSED' });
    expect(kernel.closed).toBe(true);
  });
});
