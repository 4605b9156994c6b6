// `cabernet doctor INTERFACE…`: interfaces that no agent has yet, through the command itself.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { setFeatures } from '../../native/lib/index.js';
import { type Place, Places } from '../native/netlink-fixtures.js';

const command = fileURLToPath(new URL('../../bin/cabernet', import.meta.url));
const places = new Places('doctor');
let place: Place;

beforeAll(async () => {
  place = await places.make('a');
  for (const [name, mtu] of [
    ['small', 1600],
    ['large', 9000],
  ] as const) {
    await place.netlink.addLink({
      kind: 'veth',
      name,
      mtu,
      up: true,
      peer: { name: `${name}-peer`, mtu, up: true },
    });
    await setFeatures({ netns: place.path, name: `${name}-peer` }, { gro: true });
    await setFeatures({ netns: place.path, name }, { tx: false });
  }
});

afterAll(() => places.remove());

/** What it says of interfaces of this host, a line each; worlds that happen to be up are told behind that. */
function doctor(...args: string[]): {
  status: number | null;
  lines: string[];
  stdout: string;
  stderr: string;
} {
  const net = `--net=${place.path}`;
  const { status, stdout, stderr } = spawnSync(
    'nsenter',
    [net, process.execPath, command, 'doctor', ...args],
    {
      encoding: 'utf8',
    },
  );
  const host = /^this host\n((?: .*\n)*)/.exec(stdout)?.[1] ?? '';
  const lines = host.split('\n').filter((line) => / interface \S+: /.test(line));
  if (stderr === '') expect(status).toBe(/^ +ERROR /m.test(stdout) ? 1 : 0);
  return { status, lines: lines.map((line) => line.trim().replace(/\s+/, ' ')), stdout, stderr };
}

test('without interfaces it is about the host', () => {
  const { lines, stdout } = doctor();
  expect(stdout).toMatch(/^this host\n +ok +rights: root\n/);
  expect(lines).toEqual([]);
});

test('an interface that is as it should be', () => {
  const { lines } = doctor('small');
  expect(lines[0]).toBe('ok interface small: veth has native XDP; MTU 1600');
  expect(lines).toContain(
    'ok interface small: rxvlan is on: the agent switches it off when it takes the interface',
  );
  expect(lines.filter((line) => line.startsWith('ERROR'))).toEqual([]);
});

test('one whose MTU needs --jumbo, and both of them, each once', () => {
  const plain = doctor('large', 'small', 'large');
  expect(plain.status).toBe(1);
  expect(plain.lines.filter((line) => line.startsWith('ERROR'))).toEqual([
    expect.stringMatching(/^ERROR interface large: .*mtu 3498, or start the agent with --jumbo$/),
  ]);
  expect(plain.lines.filter((line) => line.includes('native XDP;'))).toHaveLength(2);
  const jumbo = doctor('--jumbo', 'large');
  expect(jumbo.lines.filter((line) => line.startsWith('ERROR'))).toEqual([]);
});

test('one that is not there', () => {
  const { status, stdout, stderr } = doctor('small', 'nope');
  expect(status).toBe(1);
  expect(stderr.trim()).toMatch(/^cabernet: there is no interface nope here: .*small/);
  expect(stdout).toBe('');
});
