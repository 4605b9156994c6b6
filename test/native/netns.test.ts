// Named namespaces and the kernel's settings in them, next to what iproute2 makes of the same names.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import {
  createNetns,
  deleteNetns,
  getSysctl,
  getSysctls,
  isNetns,
  netnsNames,
  netnsPath,
  setSysctl,
  setSysctls,
} from '../../native/lib/netns.js';
import { failure } from './netlink-fixtures.js';

const name = `cabernet-test-${process.pid}-netns`;

afterAll(async () => {
  for (const made of await netnsNames()) if (made.startsWith(name)) await deleteNetns(made);
});

describe('a named namespace', () => {
  it('is one only when there is a namespace behind the name', async () => {
    expect(await isNetns(`${name}-half`)).toBe(false);
    // as whoever made it left it, killed before the mount
    writeFileSync(netnsPath(`${name}-half`), '');
    expect(await isNetns(`${name}-half`)).toBe(false);
    rmSync(netnsPath(`${name}-half`));
    await createNetns(`${name}-half`);
    expect(await isNetns(`${name}-half`)).toBe(true);
    await deleteNetns(`${name}-half`);
  });

  it('is made as iproute2 makes one, and iproute2 can use and delete it', async () => {
    await createNetns(`${name}-a`);
    expect(await netnsNames()).toContain(`${name}-a`);
    const list = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
    expect(list.split('\n').map((line) => line.split(' ')[0])).toContain(`${name}-a`);
    const inside = execFileSync('ip', ['netns', 'exec', `${name}-a`, 'readlink', '/proc/self/ns/net'], {
      encoding: 'utf8',
    });
    expect(inside.trim()).not.toBe(readlinkSync('/proc/self/ns/net'));
    execFileSync('ip', ['netns', 'delete', `${name}-a`]);
    expect(await netnsNames()).not.toContain(`${name}-a`);
  });

  it('is deleted with its name, also one that iproute2 made', async () => {
    execFileSync('ip', ['netns', 'add', `${name}-b`]);
    await deleteNetns(`${name}-b`);
    expect(existsSync(`/run/netns/${name}-b`)).toBe(false);
  });

  it('does not move any thread of this process', async () => {
    const own = readlinkSync('/proc/self/ns/net');
    await Promise.all(Array.from({ length: 8 }, (_, i) => createNetns(`${name}-t${i}`)));
    const threads = readdirSync('/proc/self/task').map((task) =>
      readlinkSync(`/proc/self/task/${task}/ns/net`),
    );
    expect(new Set(threads)).toEqual(new Set([own]));
    await Promise.all(Array.from({ length: 8 }, (_, i) => deleteNetns(`${name}-t${i}`)));
  });

  it('says what stands against it', async () => {
    await createNetns(`${name}-c`);
    expect(await failure(createNetns(`${name}-c`))).toMatchObject({
      name: 'BpfError',
      code: 'EEXIST',
      operation: 'netns.create',
      subject: `/run/netns/${name}-c`,
    });
    await deleteNetns(`${name}-c`);
    expect(await failure(deleteNetns(`${name}-c`))).toMatchObject({
      code: 'ENOENT',
      operation: 'netns.delete',
    });
  });

  it('is deleted even when only its file was made', async () => {
    writeFileSync(`/run/netns/${name}-d`, '');
    await deleteNetns(`${name}-d`);
    expect(await netnsNames()).not.toContain(`${name}-d`);
  });

  it.each(['', '.', '..', 'a/b', '../x', 'nul\0', 'x'.repeat(256)])('refuses the name %j', async (bad) => {
    expect(() => netnsPath(bad)).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }));
    expect(await failure(createNetns(bad))).toMatchObject({ code: 'ERR_ARGUMENT' });
    expect(await failure(deleteNetns(bad))).toMatchObject({ code: 'ERR_ARGUMENT' });
  });
});

describe('settings', () => {
  it('are those of the namespace asked for, several in one call', async () => {
    await createNetns(`${name}-s`);
    const netns = netnsPath(`${name}-s`);
    const own = await getSysctl({}, 'net.ipv4.ip_default_ttl');
    await setSysctls(
      { netns },
      { 'net.ipv4.ip_forward': 1, 'net/ipv4/ip_default_ttl': '77', 'net.ipv6.conf.lo.disable_ipv6': '1' },
    );
    const keys = ['net.ipv4.ip_default_ttl', 'net.ipv6.conf.lo.disable_ipv6', 'net.ipv4.ip_forward'];
    expect(await getSysctls({ netns }, keys)).toEqual(['77', '1', '1']);
    expect(await getSysctl({}, 'net.ipv4.ip_default_ttl')).toBe(own);
    const told = execFileSync('nsenter', [`--net=${netns}`, 'cat', '/proc/sys/net/ipv4/ip_default_ttl'], {
      encoding: 'utf8',
    });
    expect(told).toBe('77\n');
    await deleteNetns(`${name}-s`);
  });

  it('of interfaces with a dot in their name can be written both ways', async () => {
    await createNetns(`${name}-dot`);
    const netns = netnsPath(`${name}-dot`);
    execFileSync('ip', ['-n', `${name}-dot`, 'link', 'add', 'v.1', 'type', 'veth', 'peer', 'name', 'w']);
    await setSysctl({ netns }, 'net.ipv4.conf.v/1.rp_filter', 2);
    expect(await getSysctl({ netns }, 'net/ipv4/conf/v.1/rp_filter')).toBe('2');
    await deleteNetns(`${name}-dot`);
  });

  it('say which one failed and how many were done', async () => {
    await createNetns(`${name}-e`);
    const netns = netnsPath(`${name}-e`);
    const settings = {
      'net.ipv4.ip_forward': 1,
      'net.ipv4.conf.nope.rp_filter': 1,
      'net.ipv4.ip_default_ttl': 9,
    };
    expect(await failure(setSysctls({ netns }, settings))).toMatchObject({
      code: 'ENOENT',
      operation: 'sysctl.set',
      subject: '/proc/sys/net/ipv4/conf/nope/rp_filter',
      completed: 1,
    });
    expect(await failure(setSysctl({ netns }, 'net.ipv4.ip_default_ttl', 'many'))).toMatchObject({
      code: 'EINVAL',
    });
    expect(await failure(getSysctl({ netns: '/run/netns/nope-nope' }, 'net.ipv4.ip_forward'))).toMatchObject({
      code: 'ENOENT',
      subject: '/run/netns/nope-nope',
    });
    await deleteNetns(`${name}-e`);
  });

  it.each(['', '..', 'net/../../etc/passwd', 'net..ipv4', 'net/ipv4/', '/etc/passwd', 'net.ipv4\0'])(
    'have no name %j',
    async (key) => {
      expect(await failure(getSysctl({}, key))).toMatchObject({
        code: 'ERR_ARGUMENT',
        operation: 'sysctl.get',
      });
      expect(await failure(setSysctl({}, key, 1))).toMatchObject({
        code: 'ERR_ARGUMENT',
        operation: 'sysctl.set',
      });
    },
  );
});
