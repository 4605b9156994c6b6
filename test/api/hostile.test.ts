/** Whoever may open the socket may send anything: the server answers what it can and lives on. */
import { randomFillSync } from 'node:crypto';
import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { gzipSync } from 'node:zlib';

import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { ERROR_METADATA, fromServiceError, Status } from '../../src/api/errors.js';
import { messageType } from '../../src/api/message.js';
import { v1 } from '../../src/api/node.js';
import { type Bench, startBench } from './support.js';

let bench: Bench;
let raw: Client;
const LIST_VIFS = '/cabernet.node.v1.NodeService/ListVifs';
const identity = (bytes: Buffer): Buffer => bytes;

beforeAll(async () => {
  bench = await startBench({
    listVifs: (request) => ({ nextPageToken: request.node.slice(0, 100) }),
    getMachine: () => ({ name: 'alive' }),
    apply: async (requests) => {
      let created = 0;
      for await (const _ of requests) created++;
      return { created };
    },
    watch: async function* () {
      yield { name: 'event' };
    },
  });
  raw = new Client(`unix:${bench.socketPath}`, credentials.createInsecure());
});

afterAll(async () => {
  raw.close();
  await bench.close();
});

async function alive(): Promise<void> {
  expect((await bench.client.getMachine({})).name).toBe('alive');
}

async function call(path: string, bytes: Buffer, metadata = new Metadata()): Promise<Buffer | ServiceError> {
  return new Promise((done) => {
    raw.makeUnaryRequest(path, identity, identity, bytes, metadata, (error, value) =>
      done(error ?? value ?? Buffer.alloc(0)),
    );
  });
}

/** Sends these bytes as the body of a call over plain HTTP/2; gives the grpc-status, or what the transport said. */
async function post(path: string, body: Buffer, headers: OutgoingHttpHeaders = {}): Promise<string> {
  const session = connectHttp2('http://localhost', {
    createConnection: () => connectSocket(bench.socketPath),
  });
  session.on('error', () => undefined);
  try {
    return await new Promise((done) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      });
      let status = '';
      const note = (headers: OutgoingHttpHeaders): void => {
        status = String(headers['grpc-status'] ?? (headers[':status'] === 200 ? status : headers[':status']));
      };
      stream.on('response', note);
      stream.on('trailers', note);
      stream.on('error', (error: Error) => done(error.message));
      stream.on('close', () => done(status));
      stream.resume();
      stream.end(body);
    });
  } finally {
    session.destroy();
  }
}

function framed(...messages: readonly Buffer[]): Buffer {
  return Buffer.concat(
    messages.flatMap((message) => {
      const head = Buffer.alloc(5);
      head.writeUInt32BE(message.length, 1);
      return [head, message];
    }),
  );
}

test('bytes that are no HTTP/2', async () => {
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  for (let i = 0; i < 40; i++) {
    const noise = randomFillSync(Buffer.alloc(1 + ((i * 397) % 5000)));
    const bytes = i % 2 === 0 ? noise : Buffer.concat([preface, noise]);
    await new Promise<void>((done) => {
      const socket = connectSocket(bench.socketPath);
      socket.on('error', () => undefined);
      socket.on('close', () => done());
      socket.resume();
      socket.end(bytes);
      socket.setTimeout(200, () => socket.destroy());
    });
  }
  await alive();
});

test('bytes that are no message are refused with the reason', async () => {
  const error = await call(LIST_VIFS, Buffer.of(0xff, 0xff, 0xff));
  expect(fromServiceError(error, '')).toMatchObject({
    status: Status.INVALID_ARGUMENT,
    reason: 'MESSAGE_MALFORMED',
    operation: 'ListVifs',
  });
});

test('random messages are answered or refused, never a fault', async () => {
  const prefixes = [
    Buffer.alloc(0),
    Buffer.of(0x08),
    Buffer.of(0x1a, 0x05),
    Buffer.of(0x12, 0xff, 0xff, 0xff, 0xff, 0x0f),
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom(...prefixes),
      async (noise, prefix) => {
        const answer = await call(LIST_VIFS, Buffer.concat([prefix, noise]));
        if (answer instanceof Error) {
          expect([Status.INVALID_ARGUMENT]).toContain(answer.code);
          expect(answer.metadata.get(ERROR_METADATA)).toHaveLength(1);
        }
      },
    ),
    { numRuns: 300 },
  );
  await alive();
});

test('text that is no UTF-8', async () => {
  const answer = await call(LIST_VIFS, Buffer.of(0x1a, 0x02, 0xc3, 0x28));
  expect(answer).toMatchObject({ code: Status.INVALID_ARGUMENT });
});

test('fields of a later version are ignored', async () => {
  const request = Buffer.concat([
    messageType(v1.ListVifsRequest).encode({ node: 'n' }),
    Buffer.of(0xf8, 0x3f, 0x01),
  ]);
  expect(
    messageType(v1.ListVifsResponse).decode((await call(LIST_VIFS, request)) as Buffer).nextPageToken,
  ).toBe('n');
});

test('none or two messages where one is due', async () => {
  expect(await post(LIST_VIFS, Buffer.alloc(0))).toBe(String(Status.INVALID_ARGUMENT));
  expect(await post(LIST_VIFS, framed(Buffer.alloc(0), Buffer.alloc(0)))).toBe(
    String(Status.INVALID_ARGUMENT),
  );
  expect(await post(LIST_VIFS, framed(Buffer.alloc(0)))).toBe('0');
  expect(await post('/cabernet.node.v1.NodeService/Watch', Buffer.alloc(0))).toBe(
    String(Status.INVALID_ARGUMENT),
  );
});

test('a message too big, and one that only says so', async () => {
  const huge = Buffer.concat([Buffer.of(0x1a, 0x80, 0x80, 0xc0, 0x02), Buffer.alloc(5 * 1024 * 1024, 0x61)]);
  expect(await call(LIST_VIFS, huge)).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
  expect(await post(LIST_VIFS, Buffer.of(0, 0xff, 0xff, 0xff, 0xff, 1))).toBe(
    String(Status.RESOURCE_EXHAUSTED),
  );
  const largest = Buffer.concat([
    Buffer.of(0x1a, 0xfb, 0xff, 0xff, 0x01),
    Buffer.alloc(4 * 1024 * 1024 - 5, 0x61),
  ]);
  expect(largest.length).toBe(4 * 1024 * 1024);
  expect(await call(LIST_VIFS, largest)).toBeInstanceOf(Buffer);
  await alive();
});

test('a small message that unpacks to a big one', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  const body = framed(bomb);
  body[0] = 1;
  expect(await post(LIST_VIFS, body, { 'grpc-encoding': 'gzip' })).toBe(String(Status.RESOURCE_EXHAUSTED));
  const broken = framed(Buffer.from('no gzip'));
  broken[0] = 1;
  expect(await post(LIST_VIFS, broken, { 'grpc-encoding': 'gzip' })).toBe(String(Status.INTERNAL));
  expect(await post(LIST_VIFS, broken, { 'grpc-encoding': 'odd' })).toBe(String(Status.UNIMPLEMENTED));
  await alive();
});

test('a call cut off in the middle of a message', async () => {
  expect(await post(LIST_VIFS, Buffer.of(0, 0, 0, 0, 9, 1, 2))).toMatch(/^(3|13)?$/);
  await alive();
});

test('unknown methods, paths and content', async () => {
  for (const path of [
    '/cabernet.node.v1.NodeService/Nothing',
    '/',
    '/..',
    '/constructor',
    '/cabernet.node.v1.NodeService/toString',
  ]) {
    expect(await post(path, framed(Buffer.alloc(0)))).toBe(String(Status.UNIMPLEMENTED));
  }
  expect(await post(LIST_VIFS, Buffer.alloc(0), { 'content-type': 'text/plain' })).toBe('415');
  expect(await post(LIST_VIFS, framed(Buffer.alloc(0)), { 'grpc-timeout': 'soon' })).toBe(
    String(Status.INTERNAL),
  );
  await alive();
});

test('a deadline that has passed before the handler begins', async () => {
  expect(await post(LIST_VIFS, framed(Buffer.alloc(0)), { 'grpc-timeout': '0m' })).toBe(
    String(Status.DEADLINE_EXCEEDED),
  );
});

test('metadata cannot write the log', async () => {
  const metadata = new Metadata();
  metadata.set('x-request-id', 'a'.repeat(5000));
  metadata.set(ERROR_METADATA, Buffer.from('noise'));
  expect(await call(LIST_VIFS, Buffer.of(0xff), metadata)).toMatchObject({ code: Status.INVALID_ARGUMENT });
  for (const line of bench.lines) {
    expect(line).not.toContain('aaaaaaaaaa');
    expect(line).not.toMatch(/[\r\n]/);
  }
});

test('a thousand calls begun and dropped', async () => {
  const session = connectHttp2('http://localhost', {
    createConnection: () => connectSocket(bench.socketPath),
  });
  session.on('error', () => undefined);
  for (let i = 0; i < 1000; i++) {
    const stream = session.request({
      ':method': 'POST',
      ':path': i % 2 === 0 ? LIST_VIFS : '/cabernet.node.v1.NodeService/Apply',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => undefined);
    stream.write(Buffer.of(0, 0, 0, 0, 0));
    if (i % 3 === 0) stream.close(8);
  }
  await new Promise((done) => session.ping(done));
  session.destroy();
  await alive();
});
