/*
 * The agent may die at any moment: what is pinned goes on forwarding, and the agent that starts next adopts it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cabernet, example, until, World } from '../support/worlds.js';

let world: World;
beforeAll(() => {
  world = World.up(example('three'));
}, 120_000);
afterAll(() => {
  world?.down();
}, 60_000);

/** The agent's pid, by its command line: nothing is killed that is not this world's. */
function agentOf(machine: string): number {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const words = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      const name = words[words.indexOf('--name') + 1];
      if (words.includes('node') && name === machine && words.some((w) => w.includes(world.name)))
        return Number(entry);
    } catch {
      continue;
    }
  }
  throw new Error(`no agent of ${machine}`);
}

type Counter = 'receivedPackets' | 'sentPackets' | 'puntedPackets';

const sum = (vif: string, field: Counter): number =>
  Number(world.get<Record<string, string | number>>('counters').find((c) => c['name'] === vif)?.[field] ?? 0);

/** What came from the station to be forwarded. */
const entered = (vif: string): number => sum(vif, 'receivedPackets') - sum(vif, 'puntedPackets');

/** By node and reason; some frames were early while the world came up. */
const dropped = (): unknown => world.get('drops');

test('an agent killed under 50 000 packets a second: none is lost', async () => {
  expect(world.ping('iptv/hp', '10.0.3.2').received).toBe(3);
  const server = world.start('iptv/hm', ['iperf3', '-s', '-1', '--forceflush'], 'listening');
  await server.ready;
  const [into, out] = ['iptv/P/hp', 'iptv/M/hm'];
  const before = { in: entered(into), out: sum(out, 'sentPackets') };
  const droppedBefore = dropped();
  const client = world.start(
    'iptv/hp',
    ['iperf3', '-c', '10.0.3.2', '-u', '-b', '13M', '-l', '32', '-t', '4', '-w', '4M', '-J'],
    '"connected"',
  );
  const ended = new Promise<void>((resolve) => client.child.on('exit', () => resolve()));

  await until('traffic', () => (sum(out, 'sentPackets') - before.out > 20_000 ? true : undefined));
  const killed = agentOf('P');
  process.kill(killed, 'SIGKILL');
  await until('the agent is gone', () => (existsSync(`/proc/${killed}`) ? undefined : true));
  await ended;

  /* the world brings the dead agent back; it adopts what is there, counters included */
  expect(world.again().status).toBe(0);
  expect(agentOf('P')).not.toBe(killed);
  const after = { in: entered(into), out: sum(out, 'sentPackets') };
  expect(after.in - before.in).toBeGreaterThan(100_000);
  /* none lost; the few more are what M's own kernel sends to its station (ARP) */
  expect(after.out - before.out).toBeGreaterThanOrEqual(after.in - before.in);
  expect(after.out - before.out).toBeLessThan(after.in - before.in + 50);
  expect(dropped()).toEqual(droppedBefore);
}, 60_000);

test('the new agent owns what the old one made: it changes and removes it', () => {
  const vifs = world.get<{ vif: string }>('vifs').map((v) => v.vif);
  expect(vifs).toContain('iptv/P/hp');
  expect(world.ping('iptv/hp', 'fd00:0:0:3::2').received).toBe(3);
  expect(world.run('trace', 'iptv/hp', '--to', '10.0.3.2').status).toBe(0);
});

test('an agent tells Prometheus what its counters say', () => {
  const ask = `fetch('http://127.0.0.1:9464/metrics').then(async (a) => process.stdout.write(await a.text()))`;
  const { stdout, status } = world.run('exec', 'P', '--', process.execPath, '-e', ask);
  expect(status).toBe(0);
  const value = (series: string, ...labels: string[]): number => {
    const line = stdout
      .split('\n')
      .find((one) => one.startsWith(`cabernet_${series}{`) && labels.every((label) => one.includes(label)));
    return Number(line?.split(' ').at(-1));
  };
  const vif = 'vif="vns/conn_iptv/nodes/P/vifs/hp"';
  const packets = value('vif_packets_total', vif, 'direction="received"');
  // more may have come since
  expect(packets).toBeGreaterThan(100_000);
  expect(packets).toBeLessThanOrEqual(sum('iptv/P/hp', 'receivedPackets'));
  expect(value('table_entries_used', 'table="vifs"')).toBeGreaterThan(0);
  expect(value('api_call_seconds_count', 'method="GetMachine"', 'status="OK"')).toBeGreaterThan(0);
});

test('killed in the middle of `up`, and up again', () => {
  process.kill(agentOf('Q'), 'SIGKILL');
  process.kill(agentOf('M'), 'SIGKILL');
  expect(world.again().status).toBe(0);
  expect(world.ping('iptv/hp', '10.0.3.2').received).toBe(3);
});

test('down leaves nothing, twice', () => {
  expect(cabernet('down', world.name).status).toBe(0);
  expect(cabernet('down', world.name).status).toBe(0);
  expect(readdirSync('/run/netns').filter((n) => n.startsWith(`${world.name}.`))).toEqual([]);
  const pins = '/sys/fs/bpf/cabernet';
  expect(existsSync(pins) ? readdirSync(pins).filter((n) => n.startsWith(world.name)) : []).toEqual([]);
  expect(existsSync(`/run/cabernet/worlds/${world.name}`)).toBe(false);
});
