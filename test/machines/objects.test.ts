/*
 * Another kernel's verifier, and its BPF: every object by every compiler loads, and the packet tests pass there as they
 * do here.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Guest } from '../../lab/guest.js';
import { Lab } from '../../lab/lab.js';
import { labFolder, packageRoot } from '../../lab/paths.js';
import { missing, needed, titled } from './support.js';

const folder = join(packageRoot, 'build', 'bpf');
/** By every compiler that is here; the test builds, which hold the data plane several times, are the packet tests' own. */
const objects = readdirSync(folder, { recursive: true })
  .map(String)
  .filter((name) => /^clang-\d+\/cabernet[a-z-]*\.o$/.test(name) && !name.endsWith('-test.o'))
  .toSorted();

/** Loads each, and says what its largest program cost the verifier. */
const load = `
  const { BpfObject } = await import(process.argv[1]);
  for (const name of process.argv.slice(2)) {
    let said;
    try {
      const object = BpfObject.open(name);
      await object.load();
      const counts = object.programNames.map((one) => {
        const program = object.program(one);
        const { verifiedInstructions } = program.statistics();
        program.close();
        return verifiedInstructions;
      });
      said = { verified: Math.max(...counts) };
      object.close();
    } catch (error) {
      said = { error: String(error) };
    }
    console.log(JSON.stringify({ name, ...said }));
  }`;

/** In the guest; here it only has to be the same text, which the transformed files are known by. */
const results = '/tmp/results';
const environment = {
  CI: '',
  CABERNET_TEST_SUITES: 'packets',
  CABERNET_TEST_RESULTS: results,
  CABERNET_TEST_TRANSFORMED: join(labFolder, 'transformed'),
};

function vitest(verb: 'list' | 'run'): string[] {
  return [
    join(packageRoot, 'node_modules', 'vitest', 'vitest.mjs'),
    ...[verb, '--configLoader', 'runner', '--project', 'packets'],
    // the files share what costs most there, the runner and the addon; loading is the test before, and hostile BFD by
    // the hundred says nothing of a kernel that the sessions' own tests do not
    ...['--no-isolate', '--exclude', 'test/packets/load.test.ts'],
    ...['--exclude', 'test/packets/liveness-hostile.test.ts'],
  ];
}

interface Loaded {
  readonly name: string;
  readonly verified?: number;
  readonly error?: string;
}

describe.skipIf(missing !== undefined)(titled('objects'), () => {
  let lab: Lab;
  let guest: Guest;
  beforeAll(async () => {
    lab = await Lab.open(needed());
    guest = await lab.boot({ name: 'objects', cpus: 2, memory: 2048 });
  });
  afterAll(() => lab?.close());

  test('it is that kernel', async () => {
    const { stdout } = await guest.exec(['uname', '-r']);
    expect(stdout.trim()).toBe(needed().release);
  });

  test('every object by every compiler loads, far below the limit of a million instructions', async () => {
    const native = join(packageRoot, 'dist', 'native', 'lib', 'index.js');
    const paths = objects.map((name) => join(folder, name));
    const { stdout } = await guest.exec(
      [process.execPath, '--input-type=module', '-e', load, native, ...paths],
      { timeout: 240_000 },
    );
    const loaded = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Loaded);
    expect(loaded.map((one) => one.name)).toEqual(paths);
    expect(loaded.filter((one) => one.error !== undefined)).toEqual([]);
    // two builds, two purposes each
    expect(new Set(loaded.map(({ name }) => basename(name))).size).toBe(4);
    for (const { name, verified } of loaded) expect(verified, name).toBeLessThan(500_000);
  }, 300_000);

  test('the packet tests pass', async ({ annotate }) => {
    // transformed here, where it takes seconds; the guest reads what this host has
    execFileSync(process.execPath, [...vitest('list')], {
      env: { ...process.env, ...environment },
      stdio: 'ignore',
    });
    const { stdout, stderr } = await guest.exec([process.execPath, ...vitest('run'), '--no-color'], {
      env: environment,
      mayFail: true,
      timeout: 900_000,
    });
    const closing = (await guest.exec(['cat', `${results}/closing`], { mayFail: true })).stdout;
    const [, passed = 0, failed = 0] = /(\d+) passed, (\d+) failed/.exec(closing)?.map(Number) ?? [];
    expect(failed, stdout.slice(-4000) + stderr.slice(-2000)).toBe(0);
    expect(passed, stdout.slice(-4000) + stderr.slice(-2000)).toBeGreaterThan(100);
    await annotate(closing.trim());
  }, 930_000);
});
