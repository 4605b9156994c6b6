/** A controller as a process, called over TCP with certificates as `cabernet ca` issues them. */
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { Home, type Running } from './support.js';

let home: Home;
let controller: Running;
let address = '';

const inHome = (name: string): string => join(home.folder, name);

beforeAll(async () => {
  home = new Home();
  await home.run('ca', 'init', '--directory', inHome('ca'), '--deployment', 'example.net');
  for (const [name, out] of [
    ['infrastructure/one', 'one'],
    ['operator/alice', 'alice'],
    ['connectivity/stranger', 'stranger'],
  ] as const)
    await home.run('ca', 'issue', name, '--directory', inHome('ca'), '--out', inHome(out));
  controller = home.start([
    ...['infrastructure', '--name', 'one', '--socket', inHome('one.sock'), '--state', inHome('one.db')],
    ...['--listen', '127.0.0.1:0', '--credentials', inHome('one')],
  ]);
  await controller.until(({ stderr }) => {
    address = /serving .*address=(\S+)/.exec(stderr)?.[1] ?? '';
    return address !== '';
  });
});
afterAll(async () => {
  await controller.stop();
  home.remove();
});

test('by a context, and by options', async () => {
  const add = ['context', 'add', 'one', '--layer', 'infrastructure', '--address', address];
  await home.run(...add, '--credentials', inHome('alice'), '--server', 'infrastructure/one');
  const file = home.file('c.yaml', 'customer: { name: customers/conn }');
  expect(await home.run('apply', '-f', file, '--wait')).toMatchObject({
    status: 0,
    stdout: 'customers/conn created\ncustomers/conn ready\n',
  });
  const where = ['--address', address, '--layer', 'infrastructure', '--credentials', inHome('alice')];
  const got = await home.run('get', 'customers', '-o', 'name', ...where, '--server', 'infrastructure/one');
  expect(got).toEqual({ status: 0, stdout: 'customers/conn\n', stderr: '' });
  const [, ...elsewhere] = where.toReversed();
  const stranger = [...elsewhere.toReversed(), inHome('stranger'), '--server', 'infrastructure/one'];
  // what is another's is not there
  expect((await home.run('get', 'customers', '-o', 'name', ...stranger)).stdout.trim()).toBe('');
  expect((await home.run('__complete', '--', 'describe', 'customers/')).stdout).toBe('customers/conn\n');
});

test.each([
  [['--credentials', 'alice', '--server', 'infrastructure/two'], 1, 'infrastructure/two'],
  [
    ['--credentials', 'alice', '--server', 'service/one'],
    2,
    '--server service/one: an infrastructure provider',
  ],
  [['--credentials', 'alice'], 2, 'to call it takes --credentials DIRECTORY'],
  [['--credentials', 'nobody', '--server', 'infrastructure/one'], 1, 'nobody'],
])('%j', async (options, exit, said) => {
  const given = options.map((one) => (['alice', 'nobody'].includes(one) ? inHome(one) : one));
  const { status, stderr, stdout } = await home.run(
    ...['get', 'customers', '--address', address, '--layer', 'infrastructure', ...given],
  );
  expect(stderr).toContain(said);
  expect({ status, stdout }).toEqual({ status: exit, stdout: '' });
});

test('of several addresses the one that answers is found, by a context too', async () => {
  const several = `127.0.0.1:9,${address}`;
  const who = ['--credentials', inHome('alice'), '--server', 'infrastructure/one'];
  const add = ['context', 'add', 'pair', '--layer', 'infrastructure', '--address'];
  expect((await home.run(...add, several, ...who)).status).toBe(0);
  const got = await home.run('get', 'customers', '-o', 'name', '--context', 'pair');
  expect(got).toEqual({ status: 0, stdout: 'customers/conn\n', stderr: '' });
  for (const wrong of [`${address},`, `${address},${address}`, `unix:/a,unix:/b`]) {
    const { status, stderr } = await home.run(...add, wrong, ...who);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringContaining('192.0.2.1:7200,192.0.2.2:7200') as string,
    });
  }
});

test.each([
  [['--state', ''], '--state'],
  [['--state', 'etcd:'], 'etcd:https://HOST:2379'],
  [['--state', 'etcd:http://192.0.2.1:2379'], 'for this machine only'],
  [['--state', 'etcd:https://e:2379'], '--state-credentials'],
  [['--state', 'one.db', '--state-credentials', 'x'], '--state-credentials'],
  [['--state', 'one.db', '--advertise', '192.0.2.1:1'], 'replicas'],
  [['--state', 'one.db', '--failover', '5'], 'replicas'],
  [['--state', 'etcd:http://[::1]:2379', '--failover', '1'], '2 to 60'],
  [['--state', 'etcd:http://[::1]:2379', '--failover', 'soon'], '2 to 60'],
  [['--state', 'etcd:http://[::1]:2379', '--advertise', 'here'], '--advertise here'],
  [['--state', 'etcd:http://[::1]:2379', '--listen', '[::]:7200', '--credentials', 'x'], 'wants --advertise'],
])('wrong: %j', async (options, said) => {
  const { status, stderr } = await home.run(
    ...['infrastructure', '--name', 'one', '--socket', inHome('two.sock'), ...options],
  );
  expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining(said) as string });
});
