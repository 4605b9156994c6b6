/** `cabernet apply` and `cabernet delete`, as processes, on real controllers' methods. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { failedPrecondition, invalidArgument } from '../../src/api/errors.js';
import { connectivityController, infrastructureController } from './servers.js';
import { Home } from './support.js';

let home: Home;
let one: ReturnType<typeof infrastructureController>;
let conn: ReturnType<typeof connectivityController>;

beforeEach(async () => {
  home = new Home();
  one = infrastructureController();
  conn = connectivityController();
  await one.start();
  await conn.start();
  const context = (name: string, layer: string, socket: string): object => ({
    name,
    layer,
    address: `unix:${socket}`,
  });
  home.file(
    'contexts.yaml',
    JSON.stringify({
      current: 'one',
      contexts: [
        context('one', 'infrastructure', one.socket),
        context('conn', 'connectivity', conn.socket),
        context('wrong', 'service', one.socket),
      ],
    }),
  );
});
afterEach(async () => {
  await one.remove();
  await conn.remove();
  home.remove();
});

const MACHINES = `# two machines and what joins them
- machine: { name: machines/P, site: Aalen }
- machine: { name: machines/Q }
- wire:
    name: wires/PQ
    a: { machine: machines/P, interface: to-Q }
    b: { machine: machines/Q, interface: to-P }
    bits_per_second: 10000000
`;
const indented = (text: string): string => text.replace(/^(?=.)/gm, '  ');
const manifest = `resources:\n${indented(MACHINES)}`;
const updates = (): number => one.calls.filter(({ method }) => method === 'update').length;

describe('apply', () => {
  test('creates, changes, and says so; the same again changes nothing', async () => {
    const file = home.file('one.yaml', manifest);
    expect(await home.run('apply', '-f', file)).toEqual({
      status: 0,
      stdout: 'machines/P created\nmachines/Q created\nwires/PQ created\n',
      stderr: '',
    });
    const { revision } = one.state;
    const again = await home.run('apply', '-f', file);
    expect(again.stdout).toBe('machines/P unchanged\nmachines/Q unchanged\nwires/PQ unchanged\n');
    expect(one.state.revision).toBe(revision);
    home.file('one.yaml', manifest.replace('Aalen', 'Ulm'));
    const changed = await home.run('apply', '-f', file);
    expect(changed.stdout).toBe('machines/P changed\nmachines/Q unchanged\nwires/PQ unchanged\n');
    expect(one.state.get('machine', 'machines/P')?.site).toBe('Ulm');
    expect(updates()).toBe(3); // each time all of it in one request
  });

  test('what get prints can be applied again', async () => {
    await home.run('apply', '-f', home.file('one.yaml', manifest));
    for (const format of ['yaml', 'json']) {
      const { stdout } = await home.run('get', 'wires', '-o', format);
      const again = await home.run('apply', '-f', home.file(`got.${format}`, stdout));
      expect(again).toMatchObject({ status: 0, stdout: 'wires/PQ unchanged\n' });
    }
  });

  test('single resources, several documents, several files, a folder, the standard input', async () => {
    const folder = join(home.folder, 'all');
    mkdirSync(folder);
    writeFileSync(
      join(folder, 'b.yaml'),
      'machine: { name: machines/B }\n---\nmachine: { name: machines/C }\n---\n',
    );
    writeFileSync(join(folder, 'a.json'), '{"machine": {"name": "machines/A"}}');
    writeFileSync(join(folder, 'notes.txt'), 'not a manifest');
    const running = home.start(['apply', '-f', folder, '-f', '-'], 'machine: { name: machines/D }');
    expect((await running.ended).stdout).toBe(
      ['A', 'B', 'C', 'D'].map((name) => `machines/${name} created\n`).join(''),
    );
    expect(updates()).toBe(1);
  });

  test('documents for several controllers', async () => {
    const file = home.file(
      'two.yaml',
      `context: one\n${manifest}---\ncontext: conn\nresources:\n  - supplier: { name: suppliers/one, address: 'unix:/a' }\n`,
    );
    const { stdout, status } = await home.run('apply', '-f', file);
    expect(status).toBe(0);
    expect(stdout).toContain('machines/P created in one\n');
    expect(stdout).toContain('suppliers/one created in conn\n');
    const other = await home.run('--context', 'conn', 'apply', '-f', file);
    expect(other.status).toBe(1);
    expect(other.stderr).toContain(`${file}:1:10: context: the document is for one, but --context says conn`);
  });

  test('--address and --layer, without any context', async () => {
    const file = home.file('one.yaml', manifest);
    const where = ['--address', `unix:${one.socket}`, '--layer', 'infrastructure'];
    expect((await home.run('apply', '-f', file, ...where)).status).toBe(0);
    expect((await home.run('get', 'machines', '-o', 'name', ...where)).stdout).toBe(
      'machines/P\nmachines/Q\n',
    );
  });

  test('--dry-run tells changes and prices, and changes nothing', async () => {
    await home.run('apply', '-f', home.file('n.yaml', 'customer: { name: customers/conn }'));
    one.admit = (tx, changes) => {
      for (const { kind, after } of changes)
        if (after && kind === 'virtualNode')
          tx.put('virtualNode', { ...after, price: { microsPerHour: 1_500_000n, currency: 'EUR' } } as never);
    };
    const { revision } = one.state;
    const file = home.file(
      'n.yaml',
      `resources:
  - customer: { name: customers/conn, bits_per_second: 10000000 }
  - virtual_node: { name: customers/conn/virtualNodes/P, offer: offers/P }
  - virtualNode: { name: customers/conn/virtualNodes/Q }
`,
    );
    const { stdout, status } = await home.run('apply', '-f', file, '--dry-run');
    expect(status).toBe(0);
    expect(stdout).toBe(`customers/conn would be changed
  bitsPerSecond: nothing → "10000000"
customers/conn/virtualNodes/P would be created, 1.5 EUR/h
  offer: "offers/P"
customers/conn/virtualNodes/Q would be created, 1.5 EUR/h
all of these together: 3 EUR/h
`);
    expect(one.state.revision).toBe(revision);
  });

  test('--request-id: the same again is done once', async () => {
    const file = home.file('one.yaml', 'machine: { name: machines/P }');
    await home.run('apply', '-f', file, '--request-id', 'r1');
    home.file('one.yaml', 'machine: { name: machines/P, site: Ulm }');
    const reused = await home.run('apply', '-f', file, '--request-id', 'r1');
    expect(reused.status).toBe(1);
    expect(reused.stderr).toContain('REQUEST_ID_REUSED');
    expect((await home.run('apply', '-f', file, '--request-id', 'a b')).status).toBe(2);
  });

  test('more than one request takes is sent in parts, and said', async () => {
    const names = Array.from({ length: 1001 }, (_, i) => `- machine: { name: machines/m${i} }`);
    const file = home.file('many.yaml', `resources:\n${names.join('\n')}\n`);
    const { status, stdout, stderr } = await home.run('apply', '-f', file);
    expect(stderr).toContain(
      '1001 resources for one are more than one request takes; they are sent in 2 parts',
    );
    expect(status).toBe(0);
    expect(stdout.split('\n').length).toBe(1002);
    expect(one.state.all('machine').length).toBe(1001);
    expect(updates()).toBe(2);
  });

  test('all or none, also by the server’s word, told at its place in the file', async () => {
    const file = home.file(
      'one.yaml',
      `${manifest}---\nresources:\n  - wire:\n      name: wires/x\n      mtu: 9801\n`,
    );
    const { status, stderr } = await home.run('apply', '-f', file);
    expect(status).toBe(1);
    expect(stderr).toBe(`cabernet: ${file}:14:12: resources[0].wire.mtu: mtu must be at most 9800. (MTU)\n`);
    expect(one.state.all('machine')).toEqual([]);
    one.admit = () => {
      throw failedPrecondition({ reason: 'NO_CAPACITY', field: 'resources[1].machine', message: 'no room' });
    };
    const full = await home.run('apply', '-f', home.file('two.yaml', manifest));
    expect(full.stderr).toContain(`two.yaml:4:`);
    expect(full.stderr).toContain('resources[1].machine: no room (NO_CAPACITY)');
  });

  test('what a server says of other resources of the request is told in the file’s terms', async () => {
    one.admit = () => {
      throw invalidArgument({
        reason: 'SAME_END',
        field: 'resources[2].wire.a',
        message: 'resources[2].wire.a is the end of resources[1] too.',
      });
    };
    const file = home.file('one.yaml', manifest);
    const { stderr } = await home.run('apply', '-f', file);
    expect(stderr).toBe(
      `cabernet: ${file}:7:10: resources[2].wire.a: resources[2].wire.a is the end of machines/Q at ${file}:4 too. (SAME_END)\n`,
    );
  });
});

describe('a file is refused', () => {
  test.each([
    ['an unknown field', 'machine: { name: machines/P, sit: x }', '1:30', 'did you mean site?'],
    ['an unknown kind', 'resources:\n  - machin: { name: machines/P }', '2:5', 'did you mean machine?'],
    ['a wrong type', 'machine: { name: machines/P, addresses: 5 }', '1:41', 'expected a list'],
    ['no name', 'resources:\n  - machine: { site: x }', '2:5', 'machine.name: missing'],
    ['a tab', 'machine:\n\tname: machines/P', '2:1', 'Tabs'],
    ['a number out of range', 'wire: { name: wires/a, mtu: -1 }', '1:29', 'whole number'],
    [
      'two kinds at once',
      'resources:\n  - { machine: { name: a }, wire: { name: b } }',
      '2:29',
      'give one of',
    ],
    ['a stray field beside resources', 'resources: []\nmachine: {}', '2:1', 'or is one resource'],
    ['an unknown context', 'context: ona\nresources: []', '1:10', 'did you mean one?'],
    ['a context that is no text', 'context: [one]\nresources: []', '1:10', 'name of a context'],
    ['a list at the top', '- machine: { name: machines/P }', '1:1', 'expected a mapping'],
    ['an alias', 'resources: &a\n  - machine: { name: *a }', '2:3', 'is an anchor'],
    [
      'an alias bomb',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${Array.from({ length: 40 }, (_, i) => `b${i}: &b${i} [*a,*a,*a,*a,*a,*a]`).join('\n')}`,
      '1:1',
      'has no field a',
    ],
    ['nothing', '# nothing\n', '1:1', 'has no resources'],
    ['an empty resource', 'resources:\n  - {}', '2:5', 'empty'],
    [
      'a name twice, also across documents',
      'machine: { name: machines/P }\n---\nresources:\n  - machine: { name: machines/P }',
      '4:22',
      'given already, at',
    ],
  ])('%s', async (_, text, place, said) => {
    const file = home.file('bad.yaml', text);
    const { status, stderr, stdout } = await home.run('apply', '-f', file);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(`${file}:${place}: `);
    expect(stderr).toContain(said);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(one.calls).toEqual([]);
  });

  test('bytes that are no text, too many of them, without end, none', async () => {
    const binary = home.file('binary.yaml', Uint8Array.from([0xff, 0xfe, 0, 1]));
    expect((await home.run('apply', '-f', binary)).stderr).toContain(
      `${binary}:1:1: the file is not UTF-8 text`,
    );
    const zeros = home.file('zeros.yaml', new Uint8Array(1000));
    expect((await home.run('apply', '-f', zeros)).status).toBe(1);
    const endless = await home.run('apply', '-f', '/dev/zero');
    expect(endless.stderr).toContain('/dev/zero:1:1: the file has more than 16777216 bytes');
    const missing = await home.run('apply', '-f', join(home.folder, 'nothing.yaml'));
    expect(missing).toMatchObject({ status: 1, stdout: '' });
    expect(missing.stderr).toContain('there is no file');
    const deep = home.file('deep.yaml', '['.repeat(100_000));
    const nested = await home.run('apply', '-f', deep);
    expect(nested).toMatchObject({ status: 1 });
    expect(nested.stderr).not.toMatch(/\n\s+at /);
    const many = home.file('many.yaml', '--- {}\n'.repeat(2000));
    expect((await home.run('apply', '-f', many)).stderr).toContain('more than 1000 documents');
  });

  test('keys that would move the cursor are shown, not done', async () => {
    const file = home.file('bad.yaml', 'machine: { name: machines/P, "a\\e[2Jb\u202e": 1 }');
    const { stderr } = await home.run('apply', '-f', file);
    expect(stderr).toContain('a\\u{1b}[2Jb\\u{202e}');
    // oxlint-disable-next-line no-control-regex
    expect(stderr).not.toMatch(/[\u001b\u202e]/);
  });
});

test('a server of another layer is told from one', async () => {
  const file = home.file('s.yaml', 'context: wrong\nresources: [{ node: { name: nodes/P } }]');
  const { status, stderr } = await home.run('apply', '-f', file);
  expect(status).toBe(1);
  expect(stderr).toContain('no controller of a service provider; is the layer of the context wrong right?');
});

describe('delete', () => {
  beforeEach(async () => {
    await home.run('apply', '-f', home.file('one.yaml', manifest));
  });

  test('by names, all or none', async () => {
    const some = await home.run('delete', 'machine/P', 'machines/none');
    expect(some).toMatchObject({ status: 1, stdout: '' });
    expect(some.stderr).toContain('There is no "machines/none"');
    expect(one.state.all('machine').length).toBe(2);
    const dry = await home.run('delete', 'machines/P', '--dry-run');
    expect(dry.stdout).toBe('machines/P would be deleted\n');
    const gone = await home.run('delete', 'machines/P', 'machines/none', '--ignore-missing', '--wait');
    expect(gone).toEqual({
      status: 0,
      stdout: 'machines/P deleted\nmachines/none is not there\n',
      stderr: '',
    });
    expect(one.state.all('machine').map(({ name }) => name)).toEqual(['machines/Q']);
  });

  test('by file, the last first', async () => {
    const gone = await home.run('delete', '-f', join(home.folder, 'one.yaml'));
    expect(gone.stdout).toBe('wires/PQ deleted\nmachines/Q deleted\nmachines/P deleted\n');
  });

  test.each([
    [[], 'what is to be deleted'],
    [['machines/P', '-f', 'x'], 'what is to be deleted'],
    [['machines'], 'machines is a collection; name one of it: machines/ID'],
    [['things/x'], 'things/x is no resource'],
    [['machines/P', '--wait', '--dry-run'], '--wait and --dry-run'],
  ])('%j is wrong usage', async (args, said) => {
    const { status, stderr } = await home.run('delete', ...args);
    expect(status).toBe(2);
    expect(stderr).toContain(said);
  });

  test('--wait: what comes back is still there', async () => {
    one.admit = (tx, changes) => {
      for (const { before, after } of changes) if (before && !after) tx.put('machine', before as never);
    };
    const { status, stderr } = await home.run('delete', 'machines/P', '--wait', '--timeout', '0.5');
    expect(status).toBe(1);
    expect(stderr).toContain('machines/P is still there after 0.5 s');
  });
});
