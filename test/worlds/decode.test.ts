/*
 * What others read on our wires: tshark decodes label stack, control word and associated channel of packets that real
 * machines sent each other (RFC 3032, RFC 8964, RFC 5586). docs/interoperability.md says what an operator types.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { example, until, World } from '../support/worlds.js';

let world: World;
let folder: string;
beforeAll(() => {
  world = World.up(example('three'));
  folder = mkdtempSync(join(tmpdir(), 'cabernet-decode-'));
  world.ping('iptv/hp', '10.0.3.2');
}, 120_000);
afterAll(() => {
  world?.down();
  if (folder) rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** These fields of every packet that Q's wire at P saw while `send` ran, decoded as an operator would ask for it. */
async function decoded(send: () => void, ...fields: string[]): Promise<string[][]> {
  const file = join(folder, 'wire.pcapng');
  const capture = world.capture('P:to-Q', file);
  await capture.ready;
  try {
    send();
    await until('something is captured', () => (rows().length > 0 ? true : undefined));
  } finally {
    capture.child.kill('SIGINT');
    await capture.ended;
  }
  return rows();

  function rows(): string[][] {
    const text = execFileSync(
      'tshark',
      [
        '-r',
        file,
        '-d',
        'mpls.label==16-1048575,pwethcw',
        '-T',
        'fields',
        ...fields.flatMap((name) => ['-e', name]),
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t'));
  }
}

const stack = [
  'mpls.label',
  'mpls.bottom',
  'mpls.ttl',
  'pweth.cw',
  'pweth.cw.sequence_number',
  'frame.protocols',
];

test('a service packet: infrastructure label, connectivity label, control word, Ethernet, IP', async () => {
  const rows = await decoded(
    () => {
      expect(world.ping('iptv/hp', '10.0.3.2').received).toBe(3);
    },
    ...stack,
  );
  const pings = rows.filter((row) => row[5]?.endsWith(':icmp:data'));
  expect(pings.length).toBeGreaterThanOrEqual(6);
  for (const [labels = '', bottom, ttl, controlWord, sequence, protocols] of pings) {
    expect(labels.split(',').length).toBe(2);
    expect([bottom, controlWord, sequence]).toEqual(['0,1', '1', '0']);
    // Q has swapped the connectivity label of what it sends on to P
    expect(['64,64', '64,63']).toContain(ttl);
    expect(protocols).toBe('eth:ethertype:ip:udp:mpls:eth:ethertype:ip:icmp:data');
  }
});

test('the connectivity provider’s own packet: one label, the same control word', async () => {
  const vifs = world.get<{ vif: string; addresses: string }>('vifs', 'conn/Q');
  const far = vifs.find((v) => v.vif.endsWith('/to-P'))?.addresses.split(/[/, ]/)[0] ?? '';
  const rows = await decoded(
    () => {
      expect(world.ping('conn/P', far).received).toBe(3);
    },
    ...stack,
  );
  const pings = rows.filter((row) => row[5]?.endsWith(':icmp:data'));
  expect(pings.length).toBeGreaterThanOrEqual(6);
  for (const row of pings) {
    expect(row.slice(1)).toEqual([
      '1',
      '64',
      '1',
      '0',
      'eth:ethertype:ip:udp:mpls:eth:ethertype:ip:icmp:data',
    ]);
  }
});

test('a channel: type and content, here BFD as Q would send it, but for a discriminator that is not P’s: a counted drop', async () => {
  const { label } =
    world.get<{ machine: string; context: string; label: string }>('labels').find((row) => {
      return row.machine === 'P' && row.context === 'tunnels/to-100.127.0.2';
    }) ?? {};
  // RFC 5880 §4.1: version 1, state Up, multiplier 3, 24 bytes
  const bfd = ['20c00318', '00000001', '00000002', '00002710', '00002710', '00000000'].join('');
  const word = ((Number(label) << 12) | 0x140) >>> 0;
  const packet = `${word.toString(16).padStart(8, '0')}10000007${bfd}`;
  const send = `const s = require('dgram').createSocket('udp4'); s.bind(50000, '100.127.0.2', () =>
    s.send(Buffer.from('${packet}', 'hex'), 6635, '100.127.0.1', () => s.close()));`;
  const dropped = (): number =>
    world
      .get<{ node: string; reason: string; packets: number }>('drops')
      .find((row) => row.node === 'conn/P' && row.reason === 'session_packet')?.packets ?? 0;
  const before = dropped();
  const rows = await decoded(
    () => expect(world.exec('Q', process.execPath, '-e', send).status).toBe(0),
    'mpls.label',
    'pwach.channel_type',
    'bfd.sta',
    'bfd.detect_time_multiplier',
  );
  expect(rows).toContainEqual([label, '0x0007', '0x03', '3']);
  expect(dropped()).toBe(before + 1);
});
