// Worker threads and the end of things: sockets and subscriptions open, requests under way, and
// the thread or the process ends. Each case is a process of its own, which must end with status
// 0 and say nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiledNetlink, Places, runScript, type Ended, type Place } from './netlink-fixtures.js';

const places = new Places('process');
let place: Place;
let preamble = '';

beforeAll(async () => {
  place = await places.make('here');
  const library = `file://${compiledNetlink()}`;
  preamble = `
    import { Worker, parentPort, workerData } from 'node:worker_threads';
    import { Netlink } from '${library}/netlink/index.js';
    import { createNetns, deleteNetns, getSysctl } from '${library}/netns.js';
    import { getFeatures } from '${library}/ethtool.js';
    const netns = '${place.path}';
    const routes = (table) => Array.from({ length: 20000 }, (_, i) => ({
      op: 'replaceRoute',
      route: { destination: '20.0.' + (i >> 8) + '.' + (i & 255) + '/32', table, type: 'blackhole' },
    }));
    const busy = async (table = 300) => {
      const netlink = await Netlink.open({ netns });
      const seen = [];
      const subscription = await netlink.subscribe(['route', 'link'], (events) => seen.push(...events));
      return { netlink, subscription, seen, table };
    };
    const start = ({ netlink, table }) => [
      netlink.batch(routes(table)),
      netlink.links(),
      netlink.routes(),
      netlink.lookupRoute('10.0.0.1').catch(() => undefined),
      getSysctl({ netns }, 'net.ipv4.ip_forward'),
      getFeatures({ netns, name: 'lo' }),
      Netlink.open({ netns }),
    ];`;
});

afterAll(() => places.remove());

const quiet: Ended = { status: 0, signal: null, output: '' };
const run = (script: string, ...options: string[]): Ended => runScript(preamble + script, ...options);
const inWorker = (body: string): string =>
  `const url = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(preamble + body)}));`;

describe('a process', { timeout: 60_000 }, () => {
  it('ends by itself with idle sockets, but not with a subscription', () => {
    expect(run(`await Netlink.open({ netns }); await Netlink.open();`)).toEqual(quiet);
    expect(run(`const { subscription } = await busy(); subscription.unref();`)).toEqual(quiet);
    const kept = run(`
      const { netlink, subscription } = await busy();
      subscription.unref().ref();
      process.on('exit', () => { if (!closed) console.log('ended early'); });
      let closed = false;
      setTimeout(() => { closed = true; subscription.close(); }, 100).unref();`);
    expect(kept).toEqual(quiet);
  });

  it('waits for what was asked, even when nobody awaits it', () => {
    const script = `
      const netlink = await Netlink.open({ netns });
      let done = false;
      process.on('exit', () => { if (!done) console.log('ended early'); });
      netlink.batch(routes(301)).then((errors) => { done = errors.every((error) => error === undefined); });`;
    expect(run(script)).toEqual(quiet);
  });

  it('ends by process.exit() with everything open and under way', () => {
    expect(run(`const all = await busy(); start(all); process.exit(0);`)).toEqual(quiet);
    for (const after of [1, 10, 50]) {
      const script = `const all = await busy(); start(all); setTimeout(() => process.exit(0), ${after});`;
      expect(run(script)).toEqual(quiet);
    }
  });

  it('closes everything while it is under way', () => {
    const script = `
      const all = await busy();
      const under = start(all);
      all.netlink.close();
      const ends = await Promise.allSettled(under);
      const codes = ends.slice(0, 3).map(({ status, reason, value }) => reason?.code ?? value.at(-1)?.code);
      if (codes.join() !== 'ERR_CLOSED,ERR_CLOSED,ERR_CLOSED') console.log(codes);`;
    expect(run(script)).toEqual(quiet);
  });

  it('frees descriptors that were closed', () => {
    const script = `
      import { readdirSync } from 'node:fs';
      const fds = () => readdirSync('/proc/self/fd').length;
      const before = fds();
      for (let i = 0; i < 50; i++) {
        const { netlink, subscription } = await busy();
        await netlink.addLink({ kind: 'veth', name: 'x' + i, peer: { name: 'y', netns: '/run/netns/nope' } }).catch(() => undefined);
        netlink.close();
      }
      for (let i = 0; i < 100 && fds() > before; i++) await new Promise((r) => setTimeout(r, 5));
      if (fds() > before) console.log(before, fds());`;
    expect(run(script)).toEqual(quiet);
  });

  it('may throw in its callback, as anywhere', () => {
    const script = `
      process.on('uncaughtException', (error) => { if (error.message === 'mine') { all.netlink.close(); } else console.log(error); });
      const all = await busy();
      await all.netlink.subscribe(['route'], () => { throw new Error('mine'); });
      await all.netlink.replaceRoute({ destination: '20.1.1.1/32', type: 'blackhole' }).catch(() => undefined);`;
    expect(run(script)).toEqual(quiet);
  });
});

describe('a worker thread', { timeout: 60_000 }, () => {
  it('does everything the main thread does, beside it', () => {
    const script = `${inWorker(`
      const all = await busy(workerData);
      await Promise.all(start(all));
      if (!all.seen.some(({ what, object }) => what === 'route' && object.table === workerData)) throw new Error('no event');
      try { await all.netlink.setLink(4242, { up: true }); throw new Error('no error'); }
      catch (error) { if (error.name !== 'BpfError' || error.code !== 'ENODEV') throw error; }
      all.netlink.close();`)}
      const ends = [1, 2, 3].map((i) => new Promise((resolve, reject) =>
        new Worker(url, { workerData: 310 + i }).on('exit', resolve).on('error', reject)));
      const all = await busy();
      await Promise.all(start(all));
      all.netlink.close();
      const codes = await Promise.all(ends);
      if (codes.some((code) => code !== 0)) throw new Error(String(codes));`;
    expect(run(script)).toEqual(quiet);
  });

  it('ends by itself, by exit and by force with everything open and under way', () => {
    const script = `${inWorker(`
      const all = await busy();
      start(all);
      parentPort.postMessage('busy');
      await new Promise((resolve) => setTimeout(resolve, workerData.after));
      if (workerData.how === 'exit') process.exit(0);
      if (workerData.how === 'unref') all.subscription.unref();`)}
      for (const how of ['exit', 'unref', 'terminate']) {
        for (const after of [0, 1, 3, 10]) {
          const worker = new Worker(url, { workerData: { how, after } });
          const end = new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
          if (how === 'terminate') {
            await new Promise((resolve) => worker.once('message', resolve));
            await new Promise((resolve) => setTimeout(resolve, after));
            await worker.terminate();
          }
          await end;
        }
      }`;
    expect(run(script)).toEqual(quiet);
  });

  it('may be ended by the process’s end', () => {
    const script = `${inWorker(`
      const all = await busy();
      start(all);
      parentPort.postMessage('busy');`)}
      const workers = [1, 2, 3].map(() => new Worker(url));
      await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
      process.exit(0);`;
    expect(run(script)).toEqual(quiet);
  });
});
