/** Captures on paper and in files: the file is read back by tshark, and the line says what tshark says. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { PcapngWriter } from '../../src/cli/pcapng.js';
import { summarize } from '../../src/cli/summary.js';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/[^0-9a-f]/g, ''), 'hex');

const inner = bytes(`
  020000000002 020000000001 0800
  45000054 00004000 4001 24a6 0a000102 0a000302
  0800 f7ff 0000 0000 ${'00'.repeat(56)}`);
const outer = bytes(`
  020000000012 020000000011 0800
  450000880000400040110000 647f0001 647f0007
  c000 19eb 0074 0000
  b4d71040 4eda2140 00000000`);
const tunnelled = Buffer.concat([outer, inner]);
const arp = bytes(`
  ffffffffffff 020000000001 0806
  0001 0800 06 04 0001 020000000001 0a000102 000000000000 0a000101`);
const tagged = Buffer.concat([inner.subarray(0, 12), bytes('8100 0007'), inner.subarray(12)]);
const solicitation = bytes(`
  3333ff000001 020000000001 86dd
  60000000 0020 3a ff fd000000000000010000000000000002 ff0200000000000000000001ff000001
  8700 0000 00000000 fd000000000000010000000000000001 0101 020000000001`);
const tcp = bytes(`
  020000000002 020000000001 0800
  45000028 00004000 4006 24cd 0a000102 0a000302
  d431 1451 00000010 00000020 5012 faf0 0000 0000`);

describe('a line', () => {
  it.each([
    [inner, '10.0.1.2 > 10.0.3.2 ttl 64 ICMP echo request seq 0'],
    [tagged, 'vlan 7 10.0.1.2 > 10.0.3.2 ttl 64 ICMP echo request seq 0'],
    [
      tunnelled,
      '100.127.0.1 > 100.127.0.7 ttl 64 labels 740721 322978 [10.0.1.2 > 10.0.3.2 ttl 64 ICMP echo request seq 0]',
    ],
    [arp, 'ARP who has 10.0.1.1? tell 10.0.1.2'],
    [solicitation, 'fd00:0:0:1::2 > ff02::1:ff00:1 hop limit 255 ICMPv6 neighbour solicitation'],
    [tcp, '10.0.1.2 > 10.0.3.2 ttl 64 TCP 54321 > 5201 [S.] seq 16'],
  ])('says what the frame is', (frame, line) => {
    expect(summarize(frame)).toBe(line);
  });

  it('says that a frame is cut short, wherever that is', () => {
    for (let length = 0; length < outer.length; length++) {
      expect(summarize(tunnelled.subarray(0, length)), String(length)).toContain('truncated');
    }
  });
});

describe('a pcapng file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cabernet-pcapng-'));
  const file = join(directory, 'x.pcapng');
  afterAll(() => rmSync(directory, { recursive: true }));

  const writer = new PcapngWriter(1514);
  const timeNs = 1_763_700_000_123_456_789n;
  writeFileSync(
    file,
    Buffer.concat([
      writer.header(),
      writer.packet({ timeNs, point: 'iptv/P/hp', direction: 'in', length: inner.length, frame: inner }),
      writer.packet({
        timeNs: timeNs + 1000n,
        point: 'P:to-Z',
        direction: 'out',
        length: 9000,
        frame: tunnelled,
      }),
      writer.packet({
        timeNs: timeNs + 2000n,
        point: 'iptv/P/hp',
        direction: 'drop',
        comment: 'dropped: no_route',
        length: arp.length,
        frame: arp,
      }),
    ]),
  );

  const tshark = (...args: string[]): string[][] =>
    execFileSync('tshark', ['-r', file, '-T', 'fields', ...args.flatMap((field) => ['-e', field])], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));

  it('keeps nanoseconds, lengths, points, directions and comments', () => {
    expect(
      tshark(
        'frame.time_epoch',
        'frame.len',
        'frame.cap_len',
        'frame.interface_name',
        'frame.packet_flags_direction',
        'frame.comment',
      ),
    ).toEqual([
      ['1763700000.123456789', '98', '98', 'iptv/P/hp', '0x00000001', ''],
      ['1763700000.123457789', '9000', '152', 'P:to-Z', '0x00000002', ''],
      ['1763700000.123458789', '42', '42', 'iptv/P/hp', '0x00000000', 'dropped: no_route'],
    ]);
  });

  it('shows both labels', () => {
    expect(tshark('mpls.label', 'ip.dst')[1]).toEqual(['740721,322978', '100.127.0.7']);
  });

  it('is one that capinfos accepts', () => {
    const report = execFileSync('capinfos', ['-M', file], { encoding: 'utf8' });
    expect(report).toMatch(/File type:\s+.*pcapng/);
    expect(report).toMatch(/Number of packets:\s+3/);
    expect(report).toMatch(/Number of interfaces in file:\s+2/);
  });
});
