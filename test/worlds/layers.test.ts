/*
 * Three businesses: an infrastructure, a connectivity and a service provider, each a controller process of its own that
 * knows the others by certificates, over three real agents, P - Q - M. What each operator wants is one manifest. A
 * station's packets then cross what was bought from whom, also while the controllers are dead; and nobody gets more than
 * what was sold.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { machineHierarchy } from '../../src/node/cgroups.js';
import { Home, type Output, type Running } from '../cli/support.js';
import { inside, ip, netns, stream, sweep, until } from '../node/machines.js';
import { whileFlooded } from '../node/tenants.js';
import { buildThree, MACHINES } from '../node/three.js';
import { ServedAgents } from './served.js';

type Layer = 'infrastructure' | 'connectivity' | 'service';
const PROVIDERS: Record<Layer, string> = { infrastructure: 'one', connectivity: 'conn', service: 'iptv' };
const LAYERS = Object.keys(PROVIDERS) as Layer[];

const home = new Home();
const agents = new ServedAgents();
const controllers = new Map<Layer, Running>();
const addresses = new Map<Layer, string>();

const file = (name: string): string => join(home.folder, name);

/** The same port again after the first time: it is in others' manifests. */
async function start(layer: Layer): Promise<void> {
  const name = PROVIDERS[layer];
  const controller = home.start([
    ...[layer, '--name', name, '--socket', file(`${name}.sock`), '--state', file(`${name}.db`)],
    ...['--listen', addresses.get(layer) ?? '127.0.0.1:0', '--credentials', file(name)],
  ]);
  controllers.set(layer, controller);
  await controller.until(({ stderr }) => {
    const address = /serving .*address=(\S+)/.exec(stderr)?.[1];
    if (address !== undefined) addresses.set(layer, address);
    return address !== undefined;
  });
}

const at = (layer: Layer): readonly string[] => [
  ...['--address', `unix:${file(`${PROVIDERS[layer]}.sock`)}`, '--layer', layer],
];

async function apply(layer: Layer, manifest: string): Promise<Output> {
  const path = home.file(`${layer}.yaml`, manifest);
  const output = await home.run('apply', '-f', path, ...at(layer), '--wait', '--timeout', '60');
  expect(output, output.stderr + (controllers.get(layer)?.output.stderr ?? '')).toMatchObject({ status: 0 });
  return output;
}

beforeAll(async () => {
  sweep();
  buildThree();
  await agents.start(home.folder, MACHINES);
  await home.run('ca', 'init', '--directory', file('ca'), '--deployment', 'example.net');
  for (const layer of LAYERS) {
    const name = PROVIDERS[layer];
    const issued = await home.run(
      'ca',
      'issue',
      `${layer}/${name}`,
      '--directory',
      file('ca'),
      '--out',
      file(name),
    );
    expect(issued).toMatchObject({ status: 0 });
    await start(layer);
  }
}, 120_000);

afterAll(async () => {
  for (const controller of controllers.values()) await controller.stop();
  await agents.close();
  sweep();
  home.remove();
});

const machine = (name: string, host: number, port: string): string =>
  `- machine: { name: machines/${name}, agent: 'unix:${file(`${name}.sock`)}', ports: [${port}],
                addresses: [100.127.0.${host}, 'fd64:ffff::${host}'], capacity: { cpuMillis: 1000 } }`;

const wire = (a: string, b: string): string =>
  `- wire: { name: wires/${a}-${b}, a: { machine: machines/${a}, interface: to-${b} }, mtu: 1600,
             b: { machine: machines/${b}, interface: to-${a} }, bitsPerSecond: 1000000000, delayUs: 1000 }`;

const ping = (to: string): boolean =>
  inside(netns('st.hp'), 'ping', '-c', '3', '-i', '0.05', '-W', '1', to).status === 0;

const link = (name: string, a: string, b: string, subnet: number): string =>
  `- link: { name: links/${name}, a: nodes/${a}, b: nodes/${b}, mtu: 1500, slo: { bitsPerSecond: 100000000 },
             addressesA: [10.8.${subnet}.0/31], addressesB: [10.8.${subnet}.1/31] }`;

async function shown(layer: Layer, name: string): Promise<string> {
  return (await home.run('get', name, '-o', 'json', ...at(layer))).stdout;
}

async function eventually(layer: Layer, name: string, what: RegExp): Promise<string> {
  const end = Date.now() + 20_000;
  for (;;) {
    const text = await shown(layer, name);
    if (what.test(text)) return text;
    if (Date.now() > end) throw new Error(`${name} never was ${what}: ${text}`);
  }
}

/** What the service provider wants. */
async function applyNetwork(): Promise<void> {
  await apply(
    'service',
    `resources:
- network: { name: network, supplier: conn, supplierAddress: '${addresses.get('connectivity')}' }
- node: { name: nodes/P, offer: offers/P, share: { cpuMillis: 100 } }
- node: { name: nodes/M, offer: offers/M, share: { cpuMillis: 100 } }
- link: { name: links/p-m, a: nodes/P, b: nodes/M, slo: { bitsPerSecond: 10000000 } }
- station: { name: stations/hp, node: nodes/P, port: st-hp, addresses: [10.0.1.2/24, 'fd00:0:0:1::2/64'] }
- station: { name: stations/hm, node: nodes/M, port: st-hm, addresses: [10.0.3.2/24, 'fd00:0:0:3::2/64'] }`,
  );
}

/** Until packets come back: none is waited for with this process blocked, for the agents are in it. */
async function flows(to: string): Promise<void> {
  const end = Date.now() + 20_000;
  while ((await stream('hp', to, 3)).received !== 3)
    if (Date.now() > end) throw new Error(`nothing comes back from ${to}`);
}

/** The provider's routing: P and M reach each other by Q. */
function underlayAcross(): void {
  ip('-n', netns('P'), 'route', 'add', '100.127.0.3', 'via', '100.64.0.1', 'dev', 'to-Q');
  ip('-n', netns('M'), 'route', 'add', '100.127.0.1', 'via', '100.64.0.2', 'dev', 'to-Q');
  expect(inside(netns('Q'), 'sysctl', '-w', 'net.ipv4.ip_forward=1')).toMatchObject({ status: 0 });
}

/** The infrastructure provider takes it away. */
async function lose(link: string): Promise<void> {
  const gone = await home.run('delete', `customers/conn/virtualLinks/${link}`, ...at('infrastructure'));
  expect(gone, gone.stderr).toMatchObject({ status: 0 });
}

test('who bought what from whom, and a station reaches another over it', { timeout: 240_000 }, async () => {
  await apply(
    'infrastructure',
    `resources:
${machine('P', 1, 'st-hp')}
${machine('Q', 2, '')}
${machine('M', 3, 'st-hm')}
${wire('P', 'Q')}
${wire('Q', 'M')}
- tariff: { name: tariff, currency: EUR, nodeMicros: 1000, linkMicros: 500, mbitWireMicros: 3 }
- customer: { name: customers/conn }`,
  );
  await apply(
    'connectivity',
    `resources:
- supplier: { name: suppliers/one, address: '${addresses.get('infrastructure')}' }
- tariff: { name: tariff, currency: EUR, nodeMicros: 3000, linkMicros: 2000, mbitLinkMicros: 9 }
- customer: { name: customers/iptv }
- node: { name: nodes/P, supplier: suppliers/one, offer: offers/P, ports: [st-hp], share: { cpuMillis: 600 } }
- node: { name: nodes/Q, supplier: suppliers/one, offer: offers/Q, share: { cpuMillis: 600 } }
- node: { name: nodes/M, supplier: suppliers/one, offer: offers/M, ports: [st-hm], share: { cpuMillis: 600 } }
${link('p-q', 'P', 'Q', 0)}
${link('q-m', 'Q', 'M', 1)}`,
  );
  await applyNetwork();
  expect(ping('10.0.3.2')).toBe(true);
  expect(ping('fd00:0:0:3::2')).toBe(true);

  // all controllers die: nothing below notices; back again, nothing is bought twice and nothing is lost
  for (const layer of LAYERS) await controllers.get(layer)?.stop('SIGKILL');
  expect(ping('10.0.3.2')).toBe(true);
  for (const layer of LAYERS) await start(layer);
  const leases = await home.run('get', 'customers/conn/virtualLinks', '-o', 'name', ...at('infrastructure'));
  expect(leases.stdout.trim().split('\n')).toEqual([
    'customers/conn/virtualLinks/p-q',
    'customers/conn/virtualLinks/q-m',
  ]);
  await apply(
    'service',
    `- station: { name: stations/hp, node: nodes/P, port: st-hp, addresses: [10.0.1.2/24] }`.replace(
      '- ',
      '',
    ),
  );
  expect(ping('10.0.3.2')).toBe(true);

  // more than there is is refused by whoever has it not, and what was in force stays
  const wide = home.file(
    'wide.yaml',
    'link: { name: links/p-m, a: nodes/P, b: nodes/M, slo: { bitsPerSecond: 900000000 } }',
  );
  const refused = await home.run('apply', '-f', wide, ...at('service'), '--wait', '--timeout', '60');
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringMatching(/would fit/) as string });
  expect(ping('10.0.3.2')).toBe(true);

  // nobody sees two layers down
  const { stdout } = await home.run(
    'get',
    'customers/iptv/serviceNetworks',
    '-o',
    'json',
    ...at('connectivity'),
  );
  expect(stdout).toContain('p-q');
  const below = await home.run('describe', 'network', ...at('service'));
  expect(below.stdout).not.toContain('p-q');

  // more is bought of a link, in place: not one packet is lost
  const flow = stream('hp', '10.0.3.2', 600);
  await apply('connectivity', `resources:\n${link('p-q', 'P', 'Q', 0).replace('100000000', '200000000')}`);
  expect(await flow).toEqual({ sent: 600, received: 600 });
  expect(await shown('infrastructure', 'customers/conn/virtualLinks/p-q')).toMatch(
    /"bits_?[pP]er_?[sS]econd": "?200000000/,
  );

  const asked = 'link: { name: links/p-m, a: nodes/P, b: nodes/M, slo: { bitsPerSecond: 10000000 } }';
  await apply('service', asked);

  // given back from the top down, nothing stays
  const gone = await home.run(
    ...['delete', 'stations/hp', 'stations/hm', 'links/p-m', 'nodes/P', 'nodes/M', 'network'],
    ...at('service'),
  );
  expect(gone, gone.stderr).toMatchObject({ status: 0 });
});

interface Carried {
  readonly bytes: number;
  readonly sentRefused: number;
  readonly receivedRefused: number;
}

/** Of a vif, by the names that the machines have: what it sent, and what its meters refused. */
async function carried(machine: (typeof MACHINES)[number], name: string): Promise<Carried> {
  const agent = agents.get(machine);
  const vif = agent?.vifs.get(name);
  if (!agent || !vif) throw new Error(`no ${name} at ${machine}`);
  const { counters } = agent.plane;
  const path = agent.carriages.of(vif.id)[0]?.path ?? 0;
  const [vifs, paths] = [await counters.vifs([vif.id]), await counters.paths([path])];
  const count = vifs.get(vif.id);
  return {
    bytes: Number(paths.get(path)?.sentBytes ?? 0n),
    sentRefused: Number(count?.sentRefused ?? 0n),
    receivedRefused: Number(count?.receivedRefused ?? 0n),
  };
}

/** Thousandths of the machine's processors that a cgroup below `cabernet` may take. */
function quotaOf(...path: readonly string[]): number {
  const { version, mount } = machineHierarchy() ?? { version: 1, mount: '' };
  const file = join(mount, 'cabernet', ...path, version === 1 ? 'cpu.cfs_quota_us' : 'cpu.max');
  return Number.parseInt(readFileSync(file, 'utf8'), 10) / (100 * cpus().length);
}

test('what is sold is held: bandwidth, processors, routes', { timeout: 240_000 }, async () => {
  const promise = (slo: string): string =>
    `link: { name: links/p-m, a: nodes/P, b: nodes/M, slo: { ${slo} } }`;
  const node = 'vns/conn_iptv/nodes';
  await apply(
    'service',
    `resources:
- network: { name: network, supplier: conn, supplierAddress: '${addresses.get('connectivity')}' }
- node: { name: nodes/P, offer: offers/P, share: { cpuMillis: 300, routes: 4 } }
- node: { name: nodes/M, offer: offers/M, share: { cpuMillis: 150 } }
- ${promise('bitsPerSecond: 10000000')}
- station: { name: stations/hp, node: nodes/P, port: st-hp, addresses: [10.0.1.2/24, 'fd00:0:0:1::2/64'] }
- station: { name: stations/hm, node: nodes/M, port: st-hm, addresses: [10.0.3.2/24, 'fd00:0:0:3::2/64'] }`,
  );
  await until('a station reaches the other', () => ping('10.0.3.2'));

  // 60 % of a machine, of that a half and a quarter
  for (const [machine, share] of [
    ['P', 300],
    ['M', 150],
  ] as const) {
    const [outer, inner] = [`${machine}.conn.${machine}`, `${machine}.conn_iptv.${machine}`].map(netns);
    expect(quotaOf(outer ?? '')).toBe(600);
    expect(quotaOf(outer ?? '', inner ?? '')).toBe(share);
  }

  // 10 Mbit/s over links of 100 Mbit/s: a flood gets that, on its own account, and nothing else refuses a frame
  const ends = [
    ['P', `${node}/P/vifs/to-M`],
    ['P', 'vns/conn/nodes/P/vifs/to-Q'],
    ['Q', 'vns/conn/nodes/Q/vifs/to-P'],
    ['Q', 'vns/conn/nodes/Q/vifs/to-M'],
    ['M', 'vns/conn/nodes/M/vifs/to-Q'],
    ['M', `${node}/M/vifs/to-P`],
  ] as const;
  const look = (): Promise<Carried[]> => Promise.all(ends.map(([at, vif]) => carried(at, vif)));
  const began = performance.now();
  const [before] = await look();
  const own = async (): Promise<Carried> => (await look())[0] as Carried;
  const after = await whileFlooded(
    async () => {
      await until('the flood has been one', async () => (await own()).sentRefused > 20_000);
      return look();
    },
    'hp',
    '10.0.3.2',
  );
  const seconds = (performance.now() - began) / 1000;
  const bytes = (after[0]?.bytes ?? 0) - (before?.bytes ?? 0);
  const burst = 25_000;
  expect(bytes).toBeGreaterThan(burst);
  expect(bytes).toBeLessThanOrEqual(burst + (10_000_000 / 8) * seconds);
  expect(after.slice(1).map(({ sentRefused }) => sentRefused)).toEqual([0, 0, 0, 0, 0]);
  expect(after.map(({ receivedRefused }) => receivedRefused)).toEqual([0, 0, 0, 0, 0, 0]);

  // the same link without a promise: what is below could carry more, and the meters there hold what was sold of that
  await apply('service', promise(''));
  await whileFlooded(
    async () => {
      const refused = async (): Promise<number[]> => (await look()).slice(0, 2).map((one) => one.sentRefused);
      let [mine, below] = await refused();
      await until('only the link below refuses', async () => {
        const before = mine;
        [mine, below] = await refused();
        return mine === before && (below ?? 0) > 1000;
      });
      const full = (below ?? 0) + 1000;
      await until('and goes on to', async () => ((await refused())[1] ?? 0) > full);
      expect((await own()).sentRefused).toBe(mine);
    },
    'hp',
    '10.0.3.2',
  );
  await apply('service', promise('bitsPerSecond: 10000000'));

  // more routes than the share has are refused, with what it has; what was in force stays
  const routes = [1, 2, 3].map(
    (i) =>
      `- route: { name: nodes/P/routes/r${i}, destination: 10.77.${i}.0/24, type: ROUTE_TYPE_BLACKHOLE }`,
  );
  const path = home.file('routes.yaml', ['resources:', ...routes].join('\n'));
  expect(await home.run('apply', '-f', path, ...at('service'))).toMatchObject({ status: 0 });
  const nodes = async (): Promise<string> =>
    (await home.run('get', 'nodes', '-o', 'json', ...at('service'))).stdout;
  await until('they are refused', async () => (await nodes()).includes('"refused"'));
  expect(await nodes()).toContain('vns/iptv/nodes/P has 4 routes');
  expect(ping('10.0.3.2')).toBe(true);
  const withdrawn = await home.run('delete', 'nodes/P/routes/r3', ...at('service'), '--wait');
  expect(withdrawn, withdrawn.stderr).toMatchObject({ status: 0 });
  await until('the rest of them is taken', async () => !(await nodes()).includes('"refused"'));
  expect(ping('fd00:0:0:3::2')).toBe(true);
});

test('a link that is lost below is gone around, or told to be down', { timeout: 240_000 }, async () => {
  await applyNetwork();
  await flows('10.0.3.2');

  // a link is lost below: what stands on it goes another way, and its customer is told when there is none
  underlayAcross();
  await apply('connectivity', `resources:\n${link('p-m', 'P', 'M', 2)}`);
  await lose('q-m');
  await eventually(
    'connectivity',
    'customers/iptv/serviceNetworks',
    /"path": \[\s*"links\/p-m"\s*\][^}]*"state": "up"/,
  );
  // the customer puts its routes back when it has heard of it
  await flows('10.0.3.2');
  await lose('p-m');
  const down = await eventually('service', 'links/p-m', /"state": "down"/);
  expect(down).not.toContain('q-m');
});
