// Every folder of test/ with tests in it is a suite; they run one after the other, and most of them file by file, for network
// namespaces, BPF programs and the machine's two hands are shared. `npm test` is the way to start them: it sets up, and
// becomes root.
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { SuiteReporter } from './scripts/suite-reporter.js';

// What all else stands on comes first; suites of pure code, not named here, come before it.
const last = ['native', 'packets', 'model', 'hostile', 'worlds'];

/** Of these, which have folders and sockets of their own and nothing else of the machine, two files at once. */
const beside = new Set([
  ...['api', 'cli', 'connectivity', 'controller', 'graph', 'identity', 'infrastructure', 'service'],
]);

// Random worlds by the hundred, held against the real thing: bound by the processor, however busy it is.
const patience: Readonly<Record<string, number>> = { model: 180_000 };

const folder = fileURLToPath(new URL('test', import.meta.url));
const suites = readdirSync(folder, { withFileTypes: true })
  // the tests with machines have a configuration of their own
  .filter((entry) => entry.isDirectory() && entry.name !== 'machines' && hasTests(join(folder, entry.name)))
  .map((entry) => entry.name)
  .toSorted((a, b) => last.indexOf(a) - last.indexOf(b) || a.localeCompare(b));

function hasTests(directory: string): boolean {
  return readdirSync(directory, { recursive: true }).some((name) => String(name).endsWith('.test.ts'));
}

/** What is transformed once need not be again: tests/machines runs the packet tests in guests that are slow. */
const transformed = process.env['CABERNET_TEST_TRANSFORMED'];
const asked = process.env['CABERNET_TEST_SUITES']?.split(' ') ?? suites;
const results = process.env['CABERNET_TEST_RESULTS'];

export default defineConfig({
  // Nothing is written into the clone: the tests run as root, the clone may be somebody else's.
  cacheDir: join(results ?? tmpdir(), 'cabernet-vitest'),
  test: {
    ...(transformed ? { experimental: { fsModuleCache: true, fsModuleCachePath: transformed } } : {}),
    pool: 'forks',
    passWithNoTests: false,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    reporters: [new SuiteReporter(asked, results && join(results, 'closing')), 'default'],
    projects: suites.map((name, groupOrder) => ({
      extends: true,
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        maxWorkers: beside.has(name) ? 2 : 1,
        sequence: { groupOrder },
        testTimeout: patience[name] ?? 30_000,
      },
    })),
  },
});
