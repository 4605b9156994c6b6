/** `cabernet get`, `describe`, `watch` and `apply --wait`, as processes. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { connectivityController, infrastructureController, serviceController } from './servers.js';
import { Home, type Running } from './support.js';

let home: Home;
let one: ReturnType<typeof infrastructureController>;
let conn: ReturnType<typeof connectivityController>;
let iptv: ReturnType<typeof serviceController>;
let running: Running | undefined;

const status = (state: string, more: object = {}): object => ({
  generation: 1n,
  observedGeneration: 1n,
  reconciling: false,
  state,
  message: '',
  ...more,
});

beforeEach(async () => {
  home = new Home();
  one = infrastructureController();
  conn = connectivityController();
  iptv = serviceController();
  await Promise.all([one.start(), conn.start(), iptv.start()]);
  const context = (name: string, layer: string, socket: string): object => ({
    name,
    layer,
    address: `unix:${socket}`,
  });
  const contexts = [
    context('one', 'infrastructure', one.socket),
    context('conn', 'connectivity', conn.socket),
    context('iptv', 'service', iptv.socket),
  ];
  home.file('contexts.yaml', JSON.stringify({ current: 'one', contexts }));
});
afterEach(async () => {
  await running?.stop('SIGKILL');
  running = undefined;
  await Promise.all([one.remove(), conn.remove(), iptv.remove()]);
  home.remove();
});

async function leases(): Promise<void> {
  await one.state.transact((tx) => {
    for (const [customer, id] of [
      ['conn', 'P'],
      ['conn', 'Q'],
      ['other', 'P'],
    ])
      tx.put('virtualNode', {
        name: `customers/${customer}/virtualNodes/${id}`,
        offer: `offers/${id}`,
        share: { cpuMillis: 600 },
        price: { microsPerHour: 12_500n, currency: 'EUR' },
        lease: 2,
        term: { expireTime: '2000-01-01T00:00:00Z', graceSeconds: 86_400 },
        status: status('ready'),
      } as never);
    tx.put('virtualLink', {
      name: 'customers/conn/virtualLinks/PQ',
      a: { virtualNode: 'customers/conn/virtualNodes/P', vif: 'to-Q' },
      b: { virtualNode: 'customers/conn/virtualNodes/Q', vif: 'to-P' },
      slo: { bitsPerSecond: 10_000_000n, delayUs: 12_500, lossPpm: 100, availabilityPpm: 999_990 },
      kind: 1,
      udpChecksum: true,
      diverseFrom: ['customers/conn/virtualLinks/x', 'customers/conn/virtualLinks/y'],
      status: status('refused', {
        message: 'there is no room on wires/PQ',
        reconciling: true,
        generation: 2n,
      }),
    } as never);
  });
}

describe('get', () => {
  test.each([
    'customers/-/virtualNodes',
    'virtualNodes',
    'virtualnode',
    'virtual-nodes',
    'customer/-/virtualnodes',
  ])('all of %s', async (word) => {
    await leases();
    const { stdout } = await home.run('get', word, '-o', 'name');
    expect(stdout).toBe(
      'customers/conn/virtualNodes/P\ncustomers/conn/virtualNodes/Q\ncustomers/other/virtualNodes/P\n',
    );
  });

  test.each([
    [['customers/conn/virtualNodes'], 'conn/P conn/Q'],
    [['virtualnodes', 'P'], 'conn/P other/P'],
    [['virtualnodes', 'other/P', 'conn/Q'], 'other/P conn/Q'],
    [['customers/conn/virtualNodes', 'Q'], 'conn/Q'],
    [['virtualnode/other/P'], 'other/P'],
    [['customers/other/virtualNodes/P', 'virtualnodes/conn/P'], 'other/P conn/P'],
  ])('%j', async (words, names) => {
    await leases();
    const { stdout } = await home.run('get', ...words, '-o', 'name');
    const found = stdout
      .trim()
      .replaceAll('customers/', '')
      .replaceAll('/virtualNodes', '')
      .split('\n')
      .join(' ');
    expect(found).toBe(names);
  });

  test('tables', async () => {
    await leases();
    const nodes = await home.run('get', 'customers/conn/virtualNodes', 'P');
    const [head, row] = nodes.stdout.split('\n');
    expect(head?.split(/ {2,}/)).toEqual([
      'NAME',
      'OFFER',
      'NODE',
      'CPU',
      'PORTS',
      'PRICE',
      'LEASE',
      'ENDS',
      'STATE',
    ]);
    expect(row).toMatch(
      /^customers\/conn\/virtualNodes\/P +P +- +60 % +- +0.0125 EUR\/h +active +\d+ d.* ago +ready$/,
    );
    const links = await home.run('get', 'virtualLinks');
    expect(links.stdout).toContain('P:to-Q');
    expect(links.stdout).toContain('tunnel');
    expect(links.stdout).toContain('10 Mbit/s, ≤ 12.5 ms, loss ≤ 0.01 %, up ≥ 99.999 %');
    expect(links.stdout).toMatch(/refused, changing +there is no room on wires\/PQ$/m);
    expect((await home.run('get', 'virtualLinks', '-o', 'wide')).stdout).toContain('WIRES');
    expect((await home.run('get', 'machines')).stdout).toBe('none\n');
  });

  test.each(['one', 'conn', 'iptv'])('every collection of %s has a table', async (context) => {
    // their kinds differ, and this test knows none of them
    const controller = ({ one, conn, iptv } as unknown as Record<string, typeof one>)[context];
    if (!controller) throw new Error(context);
    const { catalogue } = controller.state;
    const collections = Object.entries(catalogue.kinds).map(([kind, { collection }]) => ({
      kind,
      collection,
    }));
    await controller.state.transact((tx) => {
      for (const { kind, collection } of collections) {
        const single = ['tariff', 'network'].includes(collection);
        const name = single ? collection : `${collection.replaceAll('+', 'x')}/x`;
        const { body } = catalogue.decode(catalogue.encode({ kind, body: { name } } as never));
        tx.put(kind as 'machine', body as never);
      }
    });
    const words = collections.map(({ collection }) => collection.replaceAll('+', '-'));
    const answers = await Promise.all(
      words.map((word) => home.run('--context', context, 'get', word, '-o', 'wide')),
    );
    expect(answers.map(({ status, stderr, stdout }) => [status, stderr, stdout.split('\n').length])).toEqual(
      words.map(() => [0, '', 3]),
    );
  });

  test('all pages', async () => {
    await one.state.transact((tx) => {
      for (let i = 0; i < 990; i++)
        tx.put('customer', { name: `customers/a${i}`, status: status('ready') } as never);
    });
    await one.state.transact((tx) => {
      for (let i = 0; i < 990; i++)
        tx.put('customer', { name: `customers/b${i}`, status: status('ready') } as never);
    });
    const { stdout } = await home.run('get', 'customers', '-o', 'name');
    expect(new Set(stdout.trim().split('\n')).size).toBe(1980);
    expect(one.calls.filter(({ method }) => method === 'list').length).toBe(2);
  });

  test.each([
    [['get', 'machines', 'none'], 1, 'There is no "machines/none"'],
    [['get', 'virtualnodes', 'none'], 1, 'there is no none in customers/-/virtualNodes'],
    [['get', 'machins'], 2, 'did you mean machines?'],
    [['get', 'machines', 'a/b'], 2, 'a/b is no name in machines'],
    [['get', 'machines', '-o', 'xml'], 2, 'Allowed choices'],
    [['get', 'machines', '--context', 'two'], 2, 'there is no context two in'],
    [['get', 'machines', '--context', 'one', '--world', 'w'], 2, '--world is of the testbed'],
    [
      ['get', 'machines', '--context', 'one', '--address', 'unix:/x'],
      2,
      '--context and --address are both given',
    ],
    [['get', 'machines', '--address', 'unix:/x'], 2, '--address needs --layer'],
    [['get', 'machines', '--address', 'x', '--layer', 'service'], 2, '--address x is none'],
    [['get', 'machines', '--layer', 'service'], 2, '--layer goes with --address'],
    [['get', 'nodes', '--address', 'unix:/none', '--layer', 'service'], 1, 'Nobody answers at /none'],
    [['get', 'nodes', '--address', '192.0.2.1:1', '--layer', 'service'], 2, 'is not a unix socket'],
    [['get', 'vifs', '--address', '192.0.2.1:1'], 2, '--address needs --credentials DIRECTORY'],
    [['get', 'stations', '--address', '192.0.2.1:1'], 2, 'is nothing that an agent knows'],
    [['get', 'machines', '--world', 'no-such-world'], 1, 'no-such-world'],
    [['get', 'vifs', '-o', 'wide'], 2, '-o wide is for resources of a controller'],
    [['get', 'vifs', 'a', 'b'], 2, 'of the testbed one name at a time'],
    [['describe', 'machines/none'], 1, 'There is no "machines/none"'],
    [['describe', 'machines'], 2, 'machines is a collection'],
    [['watch', 'things'], 2, 'things is no collection'],
    [['watch', '--resume', 'x', '--changes'], 2, '--resume and --changes'],
    [['watch', '--resume', 'x'], 1, 'RESUME_TOKEN'],
    [['apply'], 2, 'what is to be applied'],
    [['nonsense'], 2, 'unknown command'],
  ])('%j', async (args, exit, said) => {
    const { status, stderr } = await home.run(...args);
    expect(stderr).toContain(said);
    expect(status).toBe(exit);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test('CABERNET_CONTEXT before the current one, CABERNET_WORLD between them', async () => {
    home.env['CABERNET_CONTEXT'] = 'conn';
    expect((await home.run('get', 'suppliers')).stdout).toBe('none\n');
    home.env['CABERNET_WORLD'] = 'no-such-world';
    expect((await home.run('get', 'suppliers')).stdout).toBe('none\n');
    delete home.env['CABERNET_CONTEXT'];
    expect((await home.run('get', 'machines')).stderr).toContain('no-such-world');
    expect((await home.run('get', 'machines', '--context', 'one')).stdout).toBe('none\n');
  });

  test('--watch shows every table that differs, also of a server that was away', async () => {
    running = home.start(['get', 'customers', '-o', 'name', '--watch']);
    await running.until(({ stdout }) => stdout !== '');
    await home.run('apply', '-f', home.file('a.yaml', 'customer: { name: customers/a }'));
    await running.until(({ stdout }) => stdout.endsWith('customers/a\n'));
    await one.stop();
    await running.until(({ stderr }) => stderr.includes('does not answer; trying again'));
    await one.start();
    await home.run('apply', '-f', home.file('a.yaml', 'customer: { name: customers/b }'));
    await running.until(({ stdout }) => stdout.endsWith('customers/a\ncustomers/b\n'));
    expect((await running.stop()).status).toBe(0);
  });
});

describe('describe', () => {
  test('everything, in words', async () => {
    await leases();
    const { stdout } = await home.run('describe', 'virtuallink/conn/PQ', 'virtualnode/conn/P');
    const [link = '', node = ''] = stdout.split('\n\n');
    expect(link).toMatch(
      /^customers\/conn\/virtualLinks\/PQ\n {2}a\n {4}virtual node: +customers\/conn\/virtualNodes\/P$/m,
    );
    expect(link).toMatch(/^ {2}slo: +10 Mbit\/s, ≤ 12.5 ms, loss ≤ 0.01 %, up ≥ 99.999 %$/m);
    expect(link).toMatch(/^ {2}kind: +tunnel$/m);
    expect(link).toMatch(/^ {2}udp checksum: +yes$/m);
    expect(link).toMatch(
      /^ {2}diverse from: +customers\/conn\/virtualLinks\/x, customers\/conn\/virtualLinks\/y$/m,
    );
    expect(link).toMatch(/^ {4}why: +there is no room on wires\/PQ$/m);
    expect(link).toMatch(/^ {4}in force: +generation 1; generation 2 is being made so$/m);
    expect(node).toMatch(/^ {2}price: +0.0125 EUR\/h$/m);
    expect(node).toMatch(/^ {2}term: +to 2000-01-01T00:00:00Z \(\d+ d.* ago\), then 1 d of grace$/m);
    expect(node).toMatch(/^ {4}processor: +60 %$/m);
    expect(node).toMatch(/^ {2}lease: +active$/m);
  });

  test('nested lists', async () => {
    const network = {
      name: 'customers/iptv/serviceNetworks/iptv',
      nodes: [{ name: 'P', ports: [{ vif: 'hp', port: 'eth9' }] }, { name: 'M' }],
    };
    await home.run(
      '--context',
      'conn',
      'apply',
      '-f',
      home.file('n.yaml', JSON.stringify({ serviceNetwork: network })),
    );
    const { stdout } = await home.run('--context', 'conn', 'describe', 'servicenetwork/iptv/iptv');
    expect(stdout.replace(/ +/g, ' ')).toContain(
      'nodes\n - name: P\n ports\n - vif: hp\n port: eth9\n - name: M\n',
    );
  });
});

describe('watch', () => {
  const lines = (text: string): readonly Record<string, unknown>[] =>
    text
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const told = (text: string): readonly string[] =>
    lines(text).map(({ type, resource }) => {
      const [body] = Object.values((resource ?? {}) as Record<string, { name: string; site?: string }>);
      return [String(type), body?.name, body?.site].filter((one) => one !== undefined).join(' ');
    });
  const site = (name: string, text: string): Promise<unknown> =>
    one.state.transact((tx) => tx.put('machine', { name: `machines/${name}`, site: text } as never));

  test('what there is, then changes, for people', async () => {
    await site('P', 'a');
    running = home.start(['watch', 'machines']);
    await running.until(({ stdout }) => stdout.includes('all that was there'));
    await site('Q', 'b');
    await one.state.transact((tx) => tx.delete('machines/P'));
    await running.until(({ stdout }) => stdout.includes('deleted'));
    const { stdout, status } = await running.stop();
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^current {2}machines\/P.*\n-- all that was there\n\S+Z {2}changed {2}machines\/Q.*\ndeleted {2}machines\/P\n$/,
    );
  });

  test('over a server that starts again and again: nothing is missed, nothing repeated', async () => {
    running = home.start(['watch', '-o', 'json', '--changes']);
    await running.until(() => one.calls.some(({ method }) => method === 'watch'));
    const wanted: string[] = [];
    const change = async (i: number): Promise<void> => {
      await site(`n${i % 3}`, `s${i}`);
      wanted.push(`changed machines/n${i % 3} s${i}`);
    };
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 10; i++) await change(round * 20 + i);
      await one.stop();
      await one.start();
      // before the watcher is back
      for (let i = 10; i < 20; i++) await change(round * 20 + i);
    }
    await running.until(
      ({ stdout }) => lines(stdout.slice(0, stdout.lastIndexOf('\n') + 1)).length >= wanted.length,
    );
    const { stdout } = await running.stop();
    expect(told(stdout)).toEqual(wanted);

    // and on from any line, by its token
    const token = String(lines(stdout)[30]?.['resumeToken']);
    running = home.start(['watch', '-o', 'json', '--resume', token]);
    await running.until(({ stdout }) => lines(stdout.slice(0, stdout.lastIndexOf('\n') + 1)).length >= 49);
    expect(told((await running.stop()).stdout)).toEqual(wanted.slice(31));
  });

  test('a token that the history no longer reaches', async () => {
    const token = Buffer.from('v1.zzzz.all').toString('base64url');
    const { status, stderr } = await home.run('watch', '--resume', token);
    expect(status).toBe(1);
    expect(stderr).toContain('Changes may have been missed: begin anew, without --resume');
  });
});

describe('apply --wait', () => {
  const NODE = 'context: conn\nresources: [{ node: { name: nodes/P, site: a } }]';
  const say = (more: object): Promise<unknown> =>
    conn.state.transact((tx) => {
      const node = tx.get('node', 'nodes/P');
      if (node) tx.put('node', { ...node, status: { ...node.status, ...more } } as never);
    });
  const waiting = async (): Promise<void> =>
    running?.until(() => conn.calls.some(({ method }) => method === 'watch'));

  test('until it is in force', async () => {
    running = home.start(['apply', '-f', home.file('n.yaml', NODE), '--wait', '--timeout', '60']);
    await waiting();
    await say({ message: 'asking' });
    await say({ reconciling: false, observedGeneration: 1n, state: 'ready', message: '' });
    expect(await running.ended).toEqual({
      status: 0,
      stdout: 'nodes/P created\nnodes/P ready\n',
      stderr: '',
    });
    // in force already
    const again = await home.run('apply', '-f', home.file('n.yaml', NODE), '--wait');
    expect(again.stdout).toBe('nodes/P unchanged\nnodes/P ready\n');
  });

  test('through a restart of the server', async () => {
    running = home.start(['apply', '-f', home.file('n.yaml', NODE), '--wait', '--timeout', '60']);
    await waiting();
    await conn.stop();
    await conn.start();
    await say({ reconciling: false, observedGeneration: 1n, state: 'ready' });
    expect((await running.ended).status).toBe(0);
  });

  test('a refusal fails with its reason, and one of an earlier generation does not', async () => {
    running = home.start(['apply', '-f', home.file('n.yaml', NODE), '--wait', '--timeout', '60']);
    await waiting();
    await say({ state: 'refused', message: 'one has no \u001b[31mroom' });
    const refused = await running.ended;
    expect(refused.status).toBe(1);
    expect(refused.stderr).toBe('cabernet: nodes/P is refused: one has no \\u{1b}[31mroom\n');
    conn.calls.length = 0;
    running = home.start(['apply', '-f', home.file('n.yaml', NODE.replace('site: a', 'site: b')), '--wait']);
    await waiting();
    await say({ reconciling: false, observedGeneration: 2n, state: 'ready', message: '' });
    expect((await running.ended).stdout).toBe('nodes/P changed\nnodes/P ready\n');
  });

  test('the time is over', async () => {
    const file = home.file('n.yaml', NODE);
    const { status, stderr } = await home.run('apply', '-f', file, '--wait', '--timeout', '0.5');
    expect(status).toBe(1);
    expect(stderr).toBe('cabernet: nodes/P is not ready after 0.5 s: it is pending\n');
  });

  test('deleted meanwhile', async () => {
    running = home.start(['apply', '-f', home.file('n.yaml', NODE), '--wait', '--timeout', '60']);
    await waiting();
    await conn.state.transact((tx) => tx.delete('nodes/P'));
    const { status, stderr } = await running.ended;
    expect(status).toBe(1);
    expect(stderr).toMatch(/nodes\/P is (deleted meanwhile|gone)/);
  });
});

test('nothing of a hostile server moves the cursor', async () => {
  const evil = '\u001b[2J\u009b31m\u202eevil\r\u0007';
  await one.state.transact((tx) => {
    tx.put('machine', {
      name: `machines/x${evil}`,
      site: evil,
      addresses: [evil, 'a\nb'],
      status: status(evil, { message: evil, reconciling: true }),
    } as never);
  });
  one.admit = () => {
    throw new Error(evil);
  };
  const outputs = [
    ...(await Promise.all(
      ['table', 'wide', 'json', 'yaml', 'name'].map((format) => home.run('get', 'machines', '-o', format)),
    )),
  ];
  running = home.start(['watch']);
  await running.until(({ stdout }) => stdout.includes('all that was there'));
  outputs.push(await running.stop());
  running = home.start(['watch', '-o', 'json']);
  await running.until(({ stdout }) => stdout.includes('synced'));
  outputs.push(await running.stop());
  outputs.push(await home.run('apply', '-f', home.file('a.yaml', 'machine: { name: machines/y }')));
  for (const { stdout, stderr } of outputs) {
    // oxlint-disable-next-line no-control-regex
    expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  }
  expect(outputs[0]?.stdout).toContain('\\u{1b}[2J');
  // and it is the same value still
  const { resources } = JSON.parse(outputs[2]?.stdout ?? '') as {
    resources: [{ machine: { site: string } }];
  };
  expect(resources[0].machine.site).toBe(evil);
});
