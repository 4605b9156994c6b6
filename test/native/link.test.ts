// XDP links: native attachment, atomic replacement, pins, adoption, what forgetting means.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BpfMap } from '../../native/lib/map.js';
import { XdpLink } from '../../native/lib/link.js';
import { BpfObject } from '../../native/lib/object.js';
import { BpfProgram } from '../../native/lib/program.js';
import { compiledLibrary, fixture, ip, makeWire, pinFolder, type Wire } from './fixtures.js';

const folder = pinFolder('link');
const links: XdpLink[] = [];
let wire: Wire;
let object: BpfObject;
let program: BpfProgram;
let other: BpfProgram;

beforeAll(async () => {
  wire = makeWire('link');
  object = BpfObject.open(fixture('maps'));
  await object.load();
  program = object.program('constant_verdict');
  other = object.program('redirect');
});
afterAll(() => {
  object.close();
  wire.remove();
});
afterEach(() => {
  for (const link of links.splice(0)) link.close();
  rmSync(folder, { recursive: true, force: true });
});

function attach(which: BpfProgram = program, ifindex = wire.a): XdpLink {
  const link = which.attachXdp(ifindex, { mode: 'native', netns: wire.path });
  links.push(link);
  return link;
}

/** What the kernel says is attached to a0: "xdp" and the program's id, or nothing. */
function attached(): string {
  const shown = ip('-n', wire.netns, '-d', 'link', 'show', 'a0');
  return /prog\/(xdp\w*) id (\d+)/.exec(shown)?.slice(1).join(' ') ?? '';
}

describe('an XDP link', { timeout: 60_000 }, () => {
  it('attaches in native mode and detaches when closed', () => {
    const link = attach();
    expect(link.info()).toMatchObject({ programId: program.id, ifindex: wire.a });
    expect(attached()).toBe(`xdp ${program.id}`);
    expect(ip('-n', wire.netns, 'link', 'show', 'a0')).not.toContain('xdpgeneric');
    link.close();
    expect(attached()).toBe('');
    expect(() => link.info()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    link.close();
  });

  it('attaches off the JavaScript thread', async () => {
    const link = await program.attachXdpAsync(wire.a, { mode: 'native', netns: wire.path });
    expect(attached()).toBe(`xdp ${program.id}`);
    link.close();
  });

  it('replaces its program in one step, if asked only the one expected', () => {
    const link = attach();
    expect(() => link.update(other, { expect: other })).toThrow(expect.objectContaining({ code: 'EPERM' }));
    link.update(other, { expect: program });
    expect(link.info().programId).toBe(other.id);
    link.update(program);
    expect(attached()).toBe(`xdp ${program.id}`);
  });

  it('keeps others out', () => {
    attach();
    expect(() => attach(other)).toThrow(expect.objectContaining({ code: 'EBUSY' }));
  });

  it('outlives the process when pinned, and is adopted', async () => {
    const path = `${folder}/a0`;
    const library = compiledLibrary();
    const script = `
      const { BpfObject } = await import('${library}/object.js');
      const object = BpfObject.open('${fixture('maps')}');
      await object.load();
      const link = object.program('redirect').attachXdp(${wire.a}, { mode: 'native', netns: '${wire.path}' });
      link.pin('${path}');`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(child).toMatchObject({ status: 0, stderr: '' });
    const adopted = XdpLink.openPinned(path);
    expect(attached()).toBe(`xdp ${adopted.info().programId}`);
    adopted.update(program);
    adopted.close();
    expect(attached()).toBe(`xdp ${program.id}`);
    const again = XdpLink.openPinned(path);
    again.detach();
    expect(attached()).toBe('');
    expect(again.info().ifindex).toBe(0);
    expect(() => again.update(other)).toThrow(expect.objectContaining({ code: 'ENOLINK' }));
    again.close();
  });

  it('ends with the process when not pinned', () => {
    const script = `
      const { BpfObject } = await import('${compiledLibrary()}/object.js');
      const object = BpfObject.open('${fixture('maps')}');
      await object.load();
      globalThis.link = object.program('redirect').attachXdp(${wire.a}, { mode: 'native', netns: '${wire.path}' });
      console.log(link.info().ifindex);
      process.exit(0);`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(child).toMatchObject({ status: 0, stdout: `${wire.a}\n` });
    expect(attached()).toBe('');
  });

  it('stays attached when its handle is only forgotten', () => {
    const script = `
      import { execFileSync } from 'node:child_process';
      const { BpfObject } = await import('${compiledLibrary()}/object.js');
      const object = BpfObject.open('${fixture('maps')}');
      await object.load();
      const freed = new Promise((resolve) => { globalThis.registry = new FinalizationRegistry(resolve); });
      (() => registry.register(object.program('redirect').attachXdp(${wire.a}, { mode: 'native', netns: '${wire.path}' }), 1))();
      const collect = setInterval(() => global.gc(), 1);
      await freed;
      await new Promise((resolve) => setImmediate(resolve));
      clearInterval(collect);
      console.log(execFileSync('ip', ['-n', '${wire.netns}', 'link', 'show', 'a0'], { encoding: 'utf8' }));`;
    const child = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect(child).toMatchObject({ status: 0, stderr: '' });
    expect(child.stdout).toMatch(/prog\/xdp id/);
    expect(attached()).toBe('');
  });

  it('is refused with the reason', () => {
    expect(() => attach(program, 999_999)).toThrow(expect.objectContaining({ code: 'ENODEV' }));
    expect(() => attach(program, 0)).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }));
    expect(() => attach(object.program('on_leaving'))).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => program.attachXdp(wire.a, { mode: 'generic' as 'native' })).toThrow(
      expect.objectContaining({ code: 'ERR_ARGUMENT' }),
    );
    expect(() => program.attachXdp(wire.a, { mode: 'native', netns: '/nowhere' })).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    );
    const tunnel = ip('-n', wire.netns, 'link', 'add', 'br0', 'type', 'bridge');
    expect(tunnel).toBe('');
    const index = Number(/^(\d+):/.exec(ip('-n', wire.netns, '-o', 'link', 'show', 'br0'))?.[1]);
    expect(() => attach(program, index)).toThrow(expect.objectContaining({ code: 'EOPNOTSUPP' }));
    ip('-n', wire.netns, 'link', 'set', 'b0', 'mtu', '9000');
    try {
      expect(() => attach()).toThrow(/MTU/);
    } finally {
      ip('-n', wire.netns, 'link', 'set', 'b0', 'mtu', '1500');
    }
  });

  it('is refused in the driver’s own words, where it is asked for them', async () => {
    const options = { mode: 'native', netns: wire.path } as const;
    ip('-n', wire.netns, 'link', 'set', 'b0', 'mtu', '9000');
    try {
      expect(await program.attachRefusal(wire.a, options)).toMatch(/^veth: .*MTU/);
    } finally {
      ip('-n', wire.netns, 'link', 'set', 'b0', 'mtu', '1500');
    }
    expect(await program.attachRefusal(wire.a, options)).toBeUndefined();
    expect(attached()).toBe('');
    const link = attach(other);
    expect(await program.attachRefusal(wire.a, options)).toMatch(/link/);
    expect(attached()).toBe(`xdp ${other.id}`);
    link.close();
    expect(await program.attachRefusal(999_999, options)).toBeUndefined();
    await expect(program.attachRefusal(0, options)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
    await expect(program.attachRefusal(wire.a, {} as never)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
    const closed = object.program('redirect');
    closed.close();
    await expect(closed.attachRefusal(wire.a, options)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  it('is not made of other things', () => {
    const link = attach();
    for (const thing of [
      undefined,
      null,
      {},
      link,
      object,
      object.map('counters'),
      Object.create(program) as unknown,
    ]) {
      expect(() => link.update(thing as BpfProgram)).toThrow(
        expect.objectContaining({ code: 'ERR_FOREIGN' }),
      );
    }
    program.pin(`${folder}/p`);
    expect(() => XdpLink.openPinned(`${folder}/p`)).toThrow(expect.objectContaining({ code: 'ERR_FOREIGN' }));
    expect(() => BpfMap.openPinned(`${folder}/p`)).toThrow(expect.objectContaining({ code: 'ERR_FOREIGN' }));
    link.pin(`${folder}/l`);
    expect(() => BpfProgram.openPinned(`${folder}/l`)).toThrow(
      expect.objectContaining({ code: 'ERR_FOREIGN' }),
    );
  });

  it('lets go when its interface is gone', () => {
    const short = makeWire('gone');
    const link = program.attachXdp(short.a, { mode: 'native', netns: short.path });
    ip('-n', short.netns, 'link', 'delete', 'a0');
    expect(link.info().ifindex).toBe(0);
    expect(() => link.update(other)).toThrow(expect.objectContaining({ code: 'ENOLINK' }));
    link.close();
    short.remove();
  });
});
