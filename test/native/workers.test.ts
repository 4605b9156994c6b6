// Worker threads and the end of things: everything open, everything under way,
// and the thread or the process ends. Each case is a process of its own, which must
// end with status 0 and say nothing.
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { compiledLibrary, fixture } from './fixtures.js';

const preamble = `
  import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
  import { BpfObject } from '${compiledLibrary()}/object.js';
  import { BpfMap } from '${compiledLibrary()}/map.js';
  import { RingBuffer } from '${compiledLibrary()}/ring.js';
  const data = Buffer.alloc(64, 3);
  const open = async () => {
    const object = BpfObject.open('${fixture('maps')}');
    await object.load();
    return object;
  };
  const busy = async () => {
    const object = await open();
    const seen = [];
    const ring = RingBuffer.open(object.map('events'), { onRecords: (records) => seen.push(...records) });
    const memory = new Uint32Array(object.map('table').mmap());
    memory[0] = 1;
    const inner = BpfMap.create({ type: 'array', name: 'i', keySize: 4, valueSize: 8, maxEntries: 8 });
    return { object, ring, memory, inner, seen };
  };
  const start = ({ object, inner }) => {
    const all = [];
    for (let i = 0; i < 6; i++) {
      all.push(object.program('notify').testRun({ data }));
      all.push(object.map('outer').updateAsync(Buffer.from([i % 4, 0, 0, 0]), inner));
      all.push(object.map('counters').lookupBatch());
      all.push(BpfObject.open('${fixture('refused')}').load().catch(() => undefined));
      all.push(BpfObject.open('${fixture('maps')}').load());
    }
    return all;
  };`;

function run(
  script: string,
  ...options: string[]
): { status: number | null; signal: string | null; output: string } {
  const args = [...options, '--input-type=module', '-e', preamble + script];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  return { status: child.status, signal: child.signal, output: child.stdout + child.stderr };
}

const quiet = { status: 0, signal: null, output: '' };

// A worker cannot be given module source by \`eval\`; a data: URL is one, but has no imports of
// files without their URL, which the preamble's absolute paths are turned into.
const inWorker = (body: string): string => `
  const source = ${JSON.stringify((preamble + body).replaceAll("from '/", "from 'file:///"))};
  const url = new URL('data:text/javascript,' + encodeURIComponent(source));`;

describe('a process', { timeout: 60_000 }, () => {
  it('ends by itself with everything open but unreferenced', () => {
    expect(run(`const all = await busy(); all.ring.unref();`)).toEqual(quiet);
  });

  it('ends by process.exit() with everything open and under way', () => {
    expect(run(`const all = await busy(); start(all); process.exit(0);`)).toEqual(quiet);
    expect(run(`const all = await busy(); start(all); setTimeout(() => process.exit(0), 5);`)).toEqual(quiet);
  });

  it('closes everything while it is under way', () => {
    const script = `
      const all = await busy();
      const under = start(all);
      all.ring.close(); all.inner.close(); all.object.close();
      await Promise.all(under);`;
    expect(run(script)).toEqual(quiet);
  });

  it('frees what is collected', () => {
    const script = `
      import { readdirSync, readFileSync } from 'node:fs';
      const maps = () => readFileSync('/proc/self/maps', 'utf8').match(/bpf-map/g)?.length ?? 0;
      const fds = () => readdirSync('/proc/self/fd').length;
      await open().then((object) => object.close());
      const before = fds();
      const once = async () => { const all = await busy(); all.ring.close(); await Promise.all(start(all)); };
      for (let i = 0; i < 20; i++) await once();
      const held = fds();
      for (let i = 0; i < 200 && (fds() > before || maps() > 0); i++) { gc(); await new Promise((r) => setTimeout(r, 5)); }
      if (held <= before || fds() > before || maps() > 0) console.log(before, held, fds(), maps());`;
    expect(run(script, '--expose-gc')).toEqual(quiet);
  });
});

describe('a worker thread', { timeout: 60_000 }, () => {
  it('does everything the main thread does, beside it', () => {
    const script = `${inWorker(`
      const all = await busy();
      await Promise.all(start(all));
      if (all.seen.length === 0) all.ring.consume();
      if (all.seen.length !== 18) throw new Error('records: ' + all.seen.length);
      try { all.object.map('nope'); throw new Error('no error'); }
      catch (error) { if (error.name !== 'BpfError' || error.code !== 'ERR_NOT_FOUND') throw error; }
      all.ring.close();`)}
      const ends = Array.from({ length: 3 }, () => new Promise((resolve, reject) =>
        new Worker(url).on('exit', resolve).on('error', reject)));
      const all = await busy();
      await Promise.all(start(all));
      all.ring.close();
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
      if (workerData.how === 'unref') all.ring.unref();`)}
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

  it('leaves the ring to the next reader', () => {
    const script = `${inWorker(`
      const all = BpfMap.openId(workerData);
      RingBuffer.open(all, { onRecords() {} }).unref();`)}
      const object = await open();
      const { id } = object.map('events');
      for (let i = 0; i < 3; i++) {
        await new Promise((resolve, reject) => new Worker(url, { workerData: id }).on('exit', resolve).on('error', reject));
      }
      RingBuffer.open(object.map('events'), { onRecords() {} }).close();`;
    expect(run(script)).toEqual(quiet);
  });
});
