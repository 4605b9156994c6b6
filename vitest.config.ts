// Every folder of test/ with tests in it is a suite. `npm test` is the way to start them: it sets up, and becomes root.
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { SuiteReporter } from './scripts/suite-reporter.js';

/**
 * Of the machine's two hands these need both, or count what else runs: one after the other, file by file. What all else
 * stands on is among them, so they come first.
 */
const alone = ['dataplane', 'nic', 'native', 'packets', 'sender', 'model'];
/**
 * The others' files run two at once, whatever their suite; those of the longest come first, so that none ends alone. (Three
 * worlds on two cores take longer than they would after one another, and miss their times.) What they import is loaded once for
 * all of them, but where one of them puts something else in its place.
 */
const ownCopies = new Set(['node']);
const AT_ONCE = 2;
const longest = ['worlds', 'hostile', 'node', 'cli', 'controller'];

// Random worlds by the hundred, held against the real thing: bound by the processor, however busy it is.
const patience: Readonly<Record<string, number>> = { model: 180_000 };

const folder = fileURLToPath(new URL('test', import.meta.url));
const suites = readdirSync(folder, { withFileTypes: true })
  // the tests with machines have a configuration of their own
  .filter((entry) => entry.isDirectory() && entry.name !== 'machines' && hasTests(join(folder, entry.name)))
  .map((entry) => entry.name);

function hasTests(directory: string): boolean {
  return readdirSync(directory, { recursive: true }).some((name) => String(name).endsWith('.test.ts'));
}

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ project }: TestSpecification): number => {
      const place = longest.indexOf(project.name);
      return place < 0 ? longest.length : place;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

/** What is transformed once need not be again: tests/machines runs the packet tests in guests that are slow. */
const transformed = process.env['CABERNET_TEST_TRANSFORMED'];
/** A guest without hardware's help has a fifth of the speed. */
const guestPatience = 150_000;
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
    sequence: { sequencer: LongestFirst },
    reporters: [new SuiteReporter(asked, results && join(results, 'closing')), 'default'],
    projects: suites.map((name) => ({
      extends: true,
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        maxWorkers: alone.includes(name) ? 1 : AT_ONCE,
        isolate: alone.includes(name) || ownCopies.has(name),
        sequence: { groupOrder: alone.includes(name) ? alone.indexOf(name) : alone.length },
        testTimeout: patience[name] ?? (transformed ? guestPatience : 30_000),
      },
    })),
  },
});
