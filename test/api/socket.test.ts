import { existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { Status } from '../../src/api/errors.js';
import { silentLogger } from '../../src/api/log.js';
import { NodeService } from '../../src/api/node.js';
import { type ApiServer, implement, startServer } from '../../src/api/server.js';
import { connect } from '../../src/api/client.js';
import { publishSocket } from '../../src/api/socket.js';
import { failure, handlers, temporaryFolder } from './support.js';

let folder: ReturnType<typeof temporaryFolder>;
let servers: ApiServer[] = [];

beforeEach(() => {
  folder = temporaryFolder();
});

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop(100)));
  servers = [];
  folder.remove();
});

async function serve(socketPath: string, name = ''): Promise<ApiServer> {
  const services = [implement(NodeService, handlers({ getMachine: () => ({ name }) }))];
  const server = await startServer({ socketPath, services, log: silentLogger });
  servers.push(server);
  return server;
}

async function nameAt(socketPath: string): Promise<string> {
  const client = connect(NodeService, { socketPath });
  try {
    return (await client.getMachine({})).name;
  } finally {
    client.close();
  }
}

/** A socket whose process died without a word. */
function leaveStale(path: string): void {
  const code = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', code]);
  expect(lstatSync(path).isSocket()).toBe(true);
}

test('the socket is its owner’s alone, its folder is made, nothing else is left', async () => {
  const path = join(folder.path, 'a', 'b', 'agent.sock');
  const server = await serve(path, 'P');
  expect(server.socketPath).toBe(path);
  expect(lstatSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder.path, 'a', 'b'))).toEqual(['agent.sock']);
  expect(await nameAt(path)).toBe('P');
  await server.stop();
  expect(readdirSync(join(folder.path, 'a', 'b'))).toEqual([]);
});

test('it is bound within its folder, which may be a file system of its own', async () => {
  let seen: string[] = [];
  const path = join(folder.path, 'agent.sock');
  const server = createServer();
  const published = await publishSocket(path, async (bound) => {
    seen = [join(bound, '..', '..')];
    await new Promise<void>((done) => server.listen(bound, done));
  });
  expect(seen).toEqual([folder.path]);
  await published.remove();
  server.close();
});

test('a living agent’s socket is not taken', async () => {
  const path = join(folder.path, 'agent.sock');
  await serve(path, 'first');
  expect(await failure(serve(path))).toMatchObject({
    status: Status.FAILED_PRECONDITION,
    reason: 'SOCKET_IN_USE',
    field: 'socket',
  });
  expect(await nameAt(path)).toBe('first');
  expect(readdirSync(folder.path)).toEqual(['agent.sock']);
});

test('a dead agent’s socket is replaced', async () => {
  const path = join(folder.path, 'agent.sock');
  leaveStale(path);
  await serve(path, 'second');
  expect(await nameAt(path)).toBe('second');
  expect(readdirSync(folder.path)).toEqual(['agent.sock']);
});

test('of several at once exactly one wins, over a dead socket too', async () => {
  for (const stale of [false, true]) {
    const path = join(folder.path, `race-${stale}.sock`);
    if (stale) leaveStale(path);
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => serve(path, `${i}`)));
    const winners = outcomes.flatMap((outcome, i) => (outcome.status === 'fulfilled' ? [`${i}`] : []));
    expect(winners).toHaveLength(1);
    expect(await nameAt(path)).toBe(winners[0]);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ reason: 'SOCKET_IN_USE' });
    }
  }
});

test('what is no socket is not touched', async () => {
  const file = join(folder.path, 'file');
  writeFileSync(file, 'precious');
  mkdirSync(join(folder.path, 'dir'));
  symlinkSync(file, join(folder.path, 'link'));
  for (const name of ['file', 'dir', 'link']) {
    expect(await failure(serve(join(folder.path, name)))).toMatchObject({ reason: 'SOCKET_PATH_TAKEN' });
    expect(existsSync(join(folder.path, name))).toBe(true);
  }
});

test('too long a path is refused, not cut', async () => {
  const path = join(folder.path, 'x'.repeat(200));
  expect(await failure(serve(path))).toMatchObject({
    status: Status.INVALID_ARGUMENT,
    reason: 'SOCKET_PATH_TOO_LONG',
  });
  expect(readdirSync(folder.path)).toEqual([]);
});

test('a folder in which nothing can be made is an end, not a loop', async () => {
  for (const path of ['/proc/self/none/agent.sock', '/proc/self/none/a/b/agent.sock']) {
    expect(await failure(serve(path))).toMatchObject({
      status: Status.FAILED_PRECONDITION,
      reason: 'SOCKET_FOLDER',
      field: 'socket',
    });
  }
  const file = join(folder.path, 'file');
  writeFileSync(file, 'precious');
  expect(await failure(serve(join(file, 'agent.sock')))).toMatchObject({ code: 'ENOTDIR' });
  expect(await failure(serve(join(file, 'a', 'agent.sock')))).toMatchObject({ code: 'ENOTDIR' });
});

test('stopping does not take a successor’s socket away', async () => {
  const path = join(folder.path, 'agent.sock');
  const listeners: Server[] = [];
  const listen = async (bound: string): Promise<void> => {
    const listener = createServer();
    listeners.push(listener);
    await new Promise<void>((done) => listener.listen(bound, done));
  };
  const first = await publishSocket(path, listen);
  await new Promise((done) => listeners[0]?.close(done)); // dead, its name still there
  const second = await publishSocket(path, listen);
  await first.remove();
  expect(existsSync(path)).toBe(true);
  await second.remove();
  await second.remove();
  expect(existsSync(path)).toBe(false);
  await new Promise((done) => listeners[1]?.close(done));
});

test('a client finds an agent that starts again', async () => {
  const path = join(folder.path, 'agent.sock');
  const first = await serve(path, 'first');
  const client = connect(NodeService, { socketPath: path });
  expect((await client.getMachine({})).name).toBe('first');
  await first.stop();
  expect(await failure(client.getMachine({}))).toMatchObject({ reason: 'UNREACHABLE' });
  await serve(path, 'second');
  await client.ready(5000);
  expect((await client.getMachine({})).name).toBe('second');
  client.close();
});
