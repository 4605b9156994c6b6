/*
 * Jumbo frames on real drivers: where virtio-net takes frames in several buffers (Linux 6.3), packets of 9000 bytes
 * cross; where it does not, the NIC is refused in the driver's words before anything is lost, and doctor says so first.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Guest } from '../../lab/guest.js';
import { Lab } from '../../lab/lab.js';
import { LabWorld } from '../../lab/world.js';
import { missing, needed, titled } from './support.js';

const old = missing === undefined && /^6\.[0-2]\./.test(needed().release);

const yaml = `
name: jumbo
jumbo: true
machines: [{ name: P, provider: one }, { name: M, provider: one }]
wires: [{ a: P, b: M, mtu: 9300 }]
networks:
  - { name: conn, nodes: [{ name: P }, { name: M }], links: [{ a: P, b: M }] }
  - { name: iptv, over: conn, nodes: [{ name: P }, { name: M }], links: [{ a: P, b: M, mtu: 9000 }] }
stations:
  - { name: hp, network: iptv, node: P, addresses: ['10.0.1.2/24', 'fd00:0:0:1::2/64'], mtu: 9000 }
  - { name: hm, network: iptv, node: M, addresses: ['10.0.3.2/24', 'fd00:0:0:3::2/64'], mtu: 9000 }
`;

function taken(): void {
  let world: LabWorld;
  beforeAll(async () => {
    world = await LabWorld.up(needed(), yaml);
  });
  afterAll(() => world?.close());

  test('packets of 9000 bytes cross two virtio NICs, whole', async () => {
    expect(await world.ping('hp', '10.0.3.2', { size: 8972 })).toBe(3);
    expect(await world.ping('hp', 'fd00:0:0:3::2', { size: 8952 })).toBe(3);
    expect(await world.ping('hp', '10.0.3.2')).toBe(3);
  });

  test('TCP arrives as it was sent', async () => {
    // nc would end the connection where its own input ends
    const server = world.start('hm', [
      'sh',
      '-euc',
      'mkfifo /tmp/open; timeout 60 busybox nc -l -p 5000 <>/tmp/open | sha256sum',
    ]);
    await world.exec('hm', ['sh', '-c', "until ss -Hltn 'sport = :5000' | grep -q .; do :; done"]);
    const { stdout } = await world.exec('hp', [
      'sh',
      '-euc',
      'head -c 4000000 /dev/urandom >/tmp/sent; timeout 60 busybox nc 10.0.3.2 5000 </tmp/sent; sha256sum </tmp/sent',
    ]);
    expect((await server.ended).stdout).toBe(stdout);
  });
}

function refused(): void {
  let lab: Lab;
  let guest: Guest;
  beforeAll(async () => {
    lab = await Lab.open(needed());
    guest = await lab.boot({
      name: 'P',
      memory: 1024,
      nics: [{ wire: 'wire', mac: '02:00:00:00:00:01', queues: 2 }],
    });
    await guest.sh('ip link set eth0 mtu 9300 up');
  });
  afterAll(() => lab?.close());

  test('doctor says so before an agent is started', async () => {
    const { stdout, status } = await guest.exec(['bin/cabernet', 'doctor', 'eth0', '--jumbo'], {
      mayFail: true,
    });
    expect(status).toBe(1);
    expect(stdout).toMatch(/ERROR +.*eth0.*6\.3/);
  });

  test('the agent goes on without the NIC, and says the driver’s words', async () => {
    const agent = guest.start([
      'bin/cabernet',
      'node',
      ...['--name', 'P', '--socket', '/run/p.sock', '--pin-dir', '/sys/fs/bpf/cabernet/P'],
      ...['--netns-prefix', 'v.', '--interface', 'eth0', '--jumbo'],
    ]);
    await agent.prints('MTU too large to enable XDP');
    await agent.prints(' forwarding ');
    agent.kill();
    expect((await agent.ended).status).toBe(0);
  });
}

describe.skipIf(missing !== undefined)(
  titled(old ? 'jumbo frames are refused' : 'jumbo frames'),
  old ? refused : taken,
);
